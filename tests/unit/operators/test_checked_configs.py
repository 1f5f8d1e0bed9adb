"""A mistake in a configuration is told when the DAG is parsed, or, if it is not known yet then, before it is sent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, ObjectStoragePath, literal
from airflow.sdk.execution_time.context import set_current_context

from tests.forked_airflow import ForkedAirflow
from tests.support import ScriptedServer, TaskInstance, run_task
from tests.worlds import POOL, PROJECT
from toloka_airflow.operators.pools import (
    ClonePoolOperator,
    CloneTrainingOperator,
    CreatePoolOperator,
    CreateTrainingOperator,
)
from toloka_airflow.operators.projects import CreateProjectOperator, UpdateProjectOperator
from toloka_airflow.operators.updates import UpdatePoolOperator

TRAINING = {"private_name": "School", "inherited_instructions": True, "training_tasks_in_task_suite_count": 2}
TYPO = "golden_task_count"
MIXER = {"real_tasks_count": 2, TYPO: 0, "training_tasks_count": 0}
WRONG_POOL = {**POOL, "mixer_config": MIXER}
SAID = f"mixer_config.{TYPO}: error: .*did you mean 'golden_tasks_count'"
WRONG: dict[Any, dict[str, Any]] = {
    CreateProjectOperator: {"config": {**PROJECT, "assignments_issuing_type": TYPO}},
    UpdateProjectOperator: {"config": {**PROJECT, "assignments_issuing_type": TYPO}, "project_id": "10"},
    CreatePoolOperator: {"config": {**POOL, "priority": TYPO}, "project_id": "10"},
    CreateTrainingOperator: {"config": {**TRAINING, "inherited_instructions": TYPO}, "project_id": "10"},
    ClonePoolOperator: {"changes": {"mixer_config": {"golden_tasks_count": TYPO}}, "pool_id": "21"},
    CloneTrainingOperator: {"changes": {"inherited_instructions": TYPO}, "training_id": "22"},
    UpdatePoolOperator: {"changes": {"mixer_config": {"golden_tasks_count": TYPO}}, "pool_id": "21"},
}
every_operator = pytest.mark.parametrize("operator", WRONG, ids=lambda operator: operator.__name__)


def create_pool(config: Any, **arguments: Any) -> CreatePoolOperator:
    return CreatePoolOperator(config=config, **{"task_id": "make", "project_id": "10", **arguments})


def rendered(task: Any) -> Any:
    """Return a task with its templates rendered; its DAG has native types."""
    task.render_template_fields({"ds": "2030-01-01", "name": TYPO, "none": None})
    return task


def nothing_is_made(server: ScriptedServer) -> None:
    """Answer to what reads only."""
    for noun in ("projects", "pools", "trainings"):
        server.default("GET", f"/{noun}", {"items": [], "has_more": False})
    stored = {"project_id": "10", "status": "CLOSED"}
    server.default("GET", "/pools/21", {**POOL, **stored, "id": "21"})
    server.default("GET", "/trainings/22", {**TRAINING, **stored, "id": "22"})


@pytest.fixture
def native() -> Iterator[DAG]:
    with DAG("rendering", schedule=None, render_template_as_native_obj=True) as dag:
        yield dag


class TestParsing:
    @every_operator
    def test_a_mistake_in_a_dict(self, operator: Any) -> None:
        with pytest.raises(
            ValueError, match=r"^(config|changes) of task make has a mistake .*:\n.*: error: .*\["
        ) as caught:
            operator(task_id="make", **WRONG[operator])
        assert f"{__file__}:" in str(caught.value)

    @every_operator
    def test_a_mistake_in_a_file(self, operator: Any, tmp_path: Path) -> None:
        arguments = dict(WRONG[operator])
        name = "config" if "config" in arguments else "changes"
        path = tmp_path / "it.json"
        path.write_text(json.dumps(arguments[name], indent=1))
        line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if TYPO in text)
        for given in (path, str(path)):
            with pytest.raises(ValueError, match=rf"\n{path}:{line}: "):
                operator(task_id="make", **{**arguments, name: given})

    @every_operator
    def test_it_can_be_left_out(self, operator: Any) -> None:
        operator(task_id="make", check_config=False, **WRONG[operator])
        with DAG("defaults", schedule=None, default_args={"check_config": False}):
            assert not operator(task_id="make", **WRONG[operator]).check_config

    def test_the_line_is_that_of_the_value(self) -> None:
        with pytest.raises(ValueError, match=SAID) as caught:
            create_pool(WRONG_POOL)
        # The call above gives `config` on by another name, so it is that of the call which the operator sees.
        with pytest.raises(ValueError, match=SAID) as direct:
            CreatePoolOperator(task_id="make", config=WRONG_POOL, project_id="10")
        lines = Path(__file__).read_text().splitlines()
        assert lines[_line(caught) - 1].strip().startswith("return CreatePoolOperator(")
        assert lines[_line(direct) - 1].startswith("MIXER = {")

    def test_a_subclass_is_where_it_is_used(self) -> None:
        class Own(CreatePoolOperator):
            def __init__(self, **kwargs: Any) -> None:
                super().__init__(project_id="10", **kwargs)

        with pytest.raises(ValueError, match=SAID) as caught:
            Own(task_id="own", config={**POOL, "mixer_config": {"real_tasks_count": 2, TYPO: 0}})
        assert "Own(task_id=" in Path(__file__).read_text().splitlines()[_line(caught) - 1]

    def test_a_subclass_may_add_what_is_missing(self) -> None:
        class Later(CreatePoolOperator):
            def __init__(self, *, reward: float, **kwargs: Any) -> None:
                super().__init__(config={}, project_id="10", **kwargs)
                self.config = {**POOL, "reward_per_assignment": reward}

        class WhenItRuns(CreatePoolOperator):
            def execute(self, context: Any) -> str:
                self.config = {**POOL, "private_name": "Cats", "priority": 5}
                return super().execute(context)

        Later(task_id="later", reward=0.05)
        WhenItRuns(task_id="runs", config={"private_name": "Cats"}, project_id="10")
        with pytest.raises(ValueError, match=r"has a mistake .*\n.*'private_name'"):
            WhenItRuns(task_id="wrong", config={"private_nam": "Cats"}, project_id="10")

    def test_it_can_be_left_out_everywhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__TOLOKA__CHECK_CONFIG", "False")
        assert not create_pool(WRONG_POOL).check_config
        with pytest.raises(ValueError, match=SAID):
            create_pool(WRONG_POOL, check_config=True)

    def test_every_mistake_is_told(self) -> None:
        with pytest.raises(ValueError, match="has 2 mistakes") as caught:
            create_pool({**WRONG_POOL, "priority": "high"})
        assert len(str(caught.value).splitlines()) == 4

    @pytest.mark.parametrize(
        "config",
        [
            "/nowhere/pool.yaml",
            "s3://bucket/pool.yaml",
            "/configs/{{ ds }}.yaml",
            ObjectStoragePath("file:///nowhere/pool.yaml"),
            "{{ ti.xcom_pull('other') }}",
            {**POOL, "mixer_config": "{{ params.mixer }}"},
            {**POOL, "reward_per_assignment": "{{ params.reward }}", "{{ params.key }}": 1},
            {**POOL, "filter": {"and": ["{% if x %}{% endif %}"]}},
            literal(POOL),
            {**POOL, "public_description": literal("{{image}}")},
            {**POOL, "filter": None},
        ],
        ids=str,
    )
    def test_what_is_not_known_yet(self, config: Any) -> None:
        create_pool(config)

    def test_what_other_tasks_return(self) -> None:
        with DAG("outputs", schedule=None):
            project = CreateProjectOperator(task_id="project", config=PROJECT).output
            create_pool(project)
            create_pool({**POOL, "filter": project, "project_id": project}, task_id="other", project_id=None)

    def test_a_literal_is_known(self) -> None:
        with pytest.raises(ValueError, match=SAID):
            create_pool(literal(WRONG_POOL))

    def test_a_template_in_a_file_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "pool.json").write_text(json.dumps({**POOL, "priority": "{{ 1 }}"}))
        with pytest.raises(ValueError, match="priority is "):
            create_pool(f"{tmp_path}/pool.json")

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "pool.yaml").write_text("a: 1\nb: [")
        with pytest.raises(ValueError, match=r"pool.yaml, line 2: no YAML"):
            create_pool(tmp_path / "pool.yaml")

    def test_a_file_that_is_a_template(self, tmp_path: Path) -> None:
        class Own(CreatePoolOperator):
            template_ext = (".yaml",)

        (tmp_path / "pool.yaml").write_text("{% include 'other' %}")
        Own(task_id="own", config=f"{tmp_path}/pool.yaml", project_id="10")

    @pytest.mark.parametrize(
        ("missing", "arguments"),
        [
            ("will_expire", {"expires_in": timedelta(days=1)}),
            ("will_expire", {"will_expire": "{{ ds }}"}),
            ("project_id", {"project_id": "{{ ds }}"}),
        ],
    )
    def test_what_the_operator_supplies_need_not_be_there(self, missing: str, arguments: dict[str, Any]) -> None:
        config = {key: value for key, value in {**POOL, "project_id": "10"}.items() if key != missing}
        create_pool(config, **{"project_id": None, **arguments})
        with pytest.raises(ValueError, match=f"{missing} is missing"):
            create_pool(config, project_id=None)

    def test_the_requirement_that_the_operator_supplies(self) -> None:
        config = {**POOL, "quality_control": {"training_requirement": {"training_passing_skill_value": 80}}}
        create_pool(config, training_id="7")
        with pytest.raises(ValueError, match="training_pool_id is missing"):
            create_pool(config)

    @pytest.mark.parametrize("date", ["2040-01-01 13:00:00+01:00", "2040-01-01T12:00Z", "2040-01-01"])
    def test_dates_that_operators_take(self, date: str) -> None:
        create_pool({**POOL, "will_expire": date})

    def test_what_the_api_answers_of_a_project(self) -> None:
        answer = {**PROJECT, "id": "10", "status": "ACTIVE", "owner": {"id": "x"}, "private_comment": None}
        UpdateProjectOperator(task_id="update", project_id="10", config=answer)

    @pytest.mark.parametrize(
        "changes",
        [
            {"defaults": {"default_overlap_for_new_tasks": 3}, "filter": None},
            {"quality_control": {"training_requirement": {"training_passing_skill_value": 3}}},
            {"mixer_config": {"golden_tasks_count": None}},
        ],
    )
    def test_changes_need_not_be_complete(self, changes: dict[str, Any]) -> None:
        ClonePoolOperator(task_id="clone", pool_id="21", changes=changes)

    def test_but_what_replaces_must(self) -> None:
        """Lists are not merged."""
        changes = {"quality_control": {"configs": [{"collector_config": {"type": "INCOME"}}]}}
        with pytest.raises(ValueError, match="rules is missing"):
            ClonePoolOperator(task_id="clone", pool_id="21", changes=changes)


def _line(caught: pytest.ExceptionInfo[ValueError]) -> int:
    place = str(caught.value).splitlines()[1]
    return int(place.removeprefix(f"{__file__}:").partition(":")[0])


@pytest.mark.usefixtures("connection")
class TestRunning:
    """Nothing is changed: the scripted server would refuse it, and say so in the end."""

    @every_operator
    def test_what_a_template_makes_of_it(self, operator: Any, native: DAG, server: ScriptedServer) -> None:
        nothing_is_made(server)
        name = "config" if "config" in WRONG[operator] else "changes"
        wrong = json.loads(json.dumps(WRONG[operator][name]).replace(TYPO, "{{ name }}"))
        task = rendered(operator(task_id="make", **{**WRONG[operator], name: wrong}))
        with pytest.raises(AirflowFailException, match=rf"^{name} of task make has a mistake"):
            run_task(task)
        assert server.calls() == server.calls("GET")

    def test_a_file_that_was_not_there(self, tmp_path: Path, server: ScriptedServer) -> None:
        nothing_is_made(server)
        task = create_pool(f"{tmp_path}/{{{{ ds }}}}.json", expires_in=5)
        (tmp_path / "2030-01-01.json").write_text(json.dumps(WRONG_POOL, indent=1))
        with pytest.raises(AirflowFailException, match=rf"\n{tmp_path}/2030-01-01.json:\d+: {SAID}"):
            run_task(rendered(task))
        assert server.calls() == ["GET /pools"]

    def test_a_mapped_one(self, server: ScriptedServer) -> None:
        """It is made in the worker, where the DAG cannot fail any more."""
        nothing_is_made(server)
        with DAG("mapped", schedule=None):
            mapped = CreatePoolOperator.partial(task_id="make", project_id="10").expand(config=[WRONG_POOL])
        task = mapped.unmap({"config": WRONG_POOL})
        with pytest.raises(AirflowFailException, match=SAID):
            run_task(task)
        assert server.calls() == ["GET /pools"]

    @pytest.mark.parametrize("mistake", [{}, {"mixer_config": MIXER}, {"priority": "high"}], ids=str)
    def test_what_was_created_is_found_though_its_file_has_a_mistake_now(
        self, mistake: dict[str, Any], tmp_path: Path, server: ScriptedServer
    ) -> None:
        """The answer of the first attempt was lost, and somebody edited the file before the second."""
        path = tmp_path / "pool.json"
        path.write_text(json.dumps({**POOL, **mistake}))
        task = create_pool(POOL)
        task.config = path
        metadata = {"airflow_task": ["/dag/manual__1/make/-1"]}
        made = {**POOL, "id": "21", "project_id": "10", "status": "CLOSED", "metadata": metadata}
        server.default("GET", "/pools", {"items": [made], "has_more": False})
        assert run_task(task).result == "21"
        assert server.calls() == ["GET /pools"]

    def test_an_operator_that_a_task_makes(self, server: ScriptedServer) -> None:
        """It fails as the task of an operator does, after the search for what a previous attempt has made."""
        nothing_is_made(server)
        with set_current_context({"ti": TaskInstance(task_id="make")}):  # type: ignore[typeddict-item]
            task = create_pool(WRONG_POOL)
        with pytest.raises(AirflowFailException, match=SAID):
            run_task(task)
        assert server.calls() == ["GET /pools"]

    def test_without_the_check_it_is_sent(self, server: ScriptedServer) -> None:
        server.default("GET", "/projects", {"items": [], "has_more": False})
        server.error("POST", "/projects", 400, "VALIDATION_ERROR")
        with pytest.raises(AirflowFailException, match="VALIDATION_ERROR"):
            run_task(CreateProjectOperator(task_id="make", config={"public_nam": "x"}, check_config=False))
        assert server.calls("POST") == ["POST /projects"]


DAGS = {
    "name": """
        POOL = {
            **GOOD,
            "quality_control": {
                "configs": [
                    {
                        "collector_config": {"type": "GOLDEN_SET"},
                        "rules": [{
                            "conditions": [
                                {"key": "golden_set_corect_answers_rate", "operator": "LT", "value": 60},
                            ],
                            "action": {"type": "REJECT_ALL_ASSIGNMENTS", "parameters": {"public_comment": "No"}},
                        }],
                    },
                ],
            },
        }
        with DAG("labelling", schedule=None):
            CreatePoolOperator(task_id="make", config=POOL, project_id="10")
    """,
    "file": """
        with DAG("labelling", schedule=None):
            CreatePoolOperator(task_id="make", config=f"{FOLDER}/pool.json", project_id="10")
    """,
}
HEAD = """
from airflow.sdk import DAG
from toloka_airflow.operators.pools import CreatePoolOperator
"""
IMPORT = """
import json, sys
from importlib.util import find_spec
newer = "airflow.dag_processing.dagbag"
DagBag = __import__(newer if find_spec(newer) else "airflow.models.dagbag", fromlist=["DagBag"]).DagBag
bag = DagBag(sys.argv[1])
print(json.dumps({"errors": list(bag.import_errors.values()), "dags": list(bag.dags)}))
"""
IN_A_TASK = """
import os
os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"] = "labelling"
os.environ["_AIRFLOW_PARSING_CONTEXT_TASK_ID"] = "close_pool"
"""


@dataclass
class Dags:
    ask: Callable[..., Any]
    folder: Path

    def write(self, code: str) -> Path:
        """Write the file of a DAG, and return its path."""
        path = self.folder / "labelling.py"
        path.write_text(f"{HEAD}GOOD = {POOL!r}\nFOLDER = {str(self.folder)!r}\n{dedent(code)}")
        return path


@pytest.fixture(scope="module")
def airflow() -> Iterator[ForkedAirflow]:
    with ForkedAirflow() as process:
        yield process


@pytest.fixture
def dags(airflow: ForkedAirflow, tmp_path: Path) -> Dags:
    return Dags(airflow.ask, tmp_path)


class TestDagBag:
    def test_a_typo_in_a_rule_is_an_import_error(self, dags: Dags) -> None:
        path = dags.write(DAGS["name"])
        line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if "corect" in text)
        parsed = dags.ask(IMPORT, str(path))
        assert parsed["dags"] == []
        [error] = parsed["errors"]
        where = "quality_control.configs.0.rules.0.conditions.0.key"
        assert "ValueError: config of task make has a mistake (check_config=False" in error
        assert f"\n{path}:{line}: {where}: error: " in error
        assert "did you mean 'golden_set_correct_answers_rate'?" in error

    def test_so_is_one_in_a_file(self, dags: Dags) -> None:
        config = dags.folder / "pool.json"
        config.write_text(json.dumps(WRONG_POOL, indent=1))
        line = next(i for i, text in enumerate(config.read_text().splitlines(), 1) if TYPO in text)
        [error] = dags.ask(IMPORT, str(dags.write(DAGS["file"])))["errors"]
        assert f"\n{config}:{line}: mixer_config.{TYPO}: error: " in error

    def test_what_is_right_is_parsed(self, dags: Dags) -> None:
        (dags.folder / "pool.json").write_text(json.dumps(POOL))
        assert dags.ask(IMPORT, str(dags.write(DAGS["file"]))) == {"errors": [], "dags": ["labelling"]}

    @pytest.mark.parametrize("kind", DAGS)
    def test_a_task_process_parses_it_all_the_same(self, dags: Dags, kind: str) -> None:
        """A run that has begun must be able to close its pool, whatever was written since."""
        (dags.folder / "pool.json").write_text(json.dumps(WRONG_POOL))
        path = dags.write(DAGS[kind])
        assert dags.ask(IN_A_TASK + IMPORT, str(path)) == {"errors": [], "dags": ["labelling"]}
