"""Tasks of files: what is wrong with them is on the right line, and what is right is counted."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toloka_airflow.checks import Document, Problem
from toloka_airflow.checks.documents import Documents
from toloka_airflow.checks.tasks import MAX_ALIKE, MAX_DETAILED, MAX_INPUT_BYTES, check_tasks

PROJECT = Document(
    "project",
    {
        "task_spec": {
            "input_spec": {
                "image": {"type": "url"},
                "width": {"type": "integer", "required": False, "max_value": 9000},
                "tags": {"type": "array_string", "required": False},
            },
            "output_spec": {"kind": {"type": "string", "allowed_values": ["cat", "dog"]}},
        }
    },
)
POOL = Document("pool", {"defaults": {"default_overlap_for_new_tasks": 3}})
POOL_WITHOUT_OVERLAP = Document("pool", {"defaults": {"default_overlap_for_new_task_suites": 3}})
TRAINING = Document("training", {"training_tasks_in_task_suite_count": 2})


def image(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"input_values": {"image": f"https://example.com/{number}.jpg"}, **more}


def known(kind: str = "cat", **more: Any) -> dict[str, Any]:
    return {"known_solutions": [{"output_values": {"kind": kind}}], **more}


def check(
    tasks: Any, *, pool: Document | None = POOL, project: Document | None = PROJECT, **more: Any
) -> list[Problem]:
    return check_tasks(Documents(project, pool, tasks=tasks, **more))[0]


def rules(problems: list[Problem]) -> list[tuple[str, str, str]]:
    return [(problem.level, problem.rule, ".".join(map(str, problem.path))) for problem in problems]


RIGHT: list[dict[str, Any]] = [
    image(1),
    image(2, overlap=5),
    {"input_values": {"image": "a.jpg", "width": 640, "tags": ["a", "b"]}},
    image(3, **known(), infinite_overlap=True),
    image(4, **known(), infinite_overlap=True, message_on_unknown_solution="Whiskers: a cat"),
    image(5, known_solutions=[{"output_values": {"kind": "cat"}, "correctness_weight": 0.5}], infinite_overlap=True),
    image(6, baseline_solutions=[{"output_values": {"kind": "cat"}, "confidence_weight": 1}]),
    image(7, reserved_for=["a"], unavailable_for=[], pool_id="1", localization_config={}, overlap=None),
    # As it was fetched from another pool.
    image(8, id="1--2", created="2030-01-01T00:00:00", remaining_overlap=1, overlap=1),
]


def test_nothing_is_wrong_with_right_tasks() -> None:
    problems, counts = check_tasks(Documents(PROJECT, POOL, tasks=RIGHT))
    assert problems == []
    assert counts is not None
    assert (counts.real, counts.control, counts.training, counts.total, counts.finite_control) == (6, 2, 1, 9, 0)
    assert dict(counts.overlaps) == {None: 4, 5: 1, 1: 1}


def write_jsonl(path: Path, tasks: list[dict[str, Any]]) -> Path:
    path = path.with_suffix(".jsonl")
    path.write_text("".join(f"{json.dumps(task)}\n" for task in tasks))
    return path


def write_json(path: Path, tasks: list[dict[str, Any]]) -> Path:
    path = path.with_suffix(".json")
    path.write_text(json.dumps(tasks, indent=2))
    return path


def write_gzip(path: Path, tasks: list[dict[str, Any]]) -> Path:
    path = path.with_suffix(".jsonl.gz")
    path.write_bytes(gzip.compress(write_jsonl(path.parent / "plain", tasks).read_bytes()))
    return path


def write_parquet(path: Path, tasks: list[dict[str, Any]]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = path.with_suffix(".parquet")
    parquet.write_table(pyarrow.Table.from_pylist(tasks), path)
    return path


@pytest.mark.parametrize(
    ("write", "line", "index"),
    [(write_jsonl, 2, ()), (write_gzip, 2, ()), (write_json, None, (1,)), (write_parquet, None, (1,))],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_is_on_its_line(
    tmp_path: Path, write: Callable[..., Path], line: int | None, index: tuple[int, ...]
) -> None:
    file = write(tmp_path / "tasks", [image(1), {"input_values": {"image": "a.jpg", "width": 9001}}, image(2)])
    [problem] = check(str(file))
    assert (problem.level, problem.rule, problem.path) == ("error", "field-range", (*index, "input_values", "width"))
    assert (problem.file, problem.line) == (str(file), line)
    assert "width is 9001; the project wants at most 9000" in problem.message


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_a_mistake_in_a_table_is_on_its_line(tmp_path: Path, suffix: str, delimiter: str) -> None:
    file = tmp_path / f"tasks.{suffix}"
    rows = [
        ("INPUT:image", "INPUT:width", "GOLDEN:kind"),
        ("a.jpg", "1", ""),
        ("b.jpg", "wide", ""),
        ('"c\n.jpg"', "1", "cat"),
        ("d.jpg", "1", "bird"),
        ("", "5", ""),
    ]
    file.write_text("".join(f"{delimiter.join(row)}\n" for row in rows))
    problems = check(file)
    assert [(problem.line, problem.level, problem.rule) for problem in problems] == [
        (3, "error", "task-unreadable"),
        (4, "warning", "url-syntax"),
        (6, "error", "allowed-value"),
        (7, "error", "required-field"),
    ]
    assert problems[0].message == "column INPUT:width: 'wide' is no integer"
    assert problems[2].path == ("known_solutions", 0, "output_values", "kind")


def test_a_column_that_is_none_is_wrong_with_the_header(tmp_path: Path) -> None:
    file = tmp_path / "tasks.csv"
    file.write_text("INPUT:imgae\na.jpg\n")
    [problem] = check(file)
    assert (problem.level, problem.rule, problem.line) == ("error", "task-file", 1)
    assert "unknown columns: INPUT:imgae (did you mean INPUT:image?)" in problem.message


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (image(overlap=0), ("error", "task-overlap", "overlap")),
        (image(overlap=30_001), ("error", "task-overlap", "overlap")),
        (image(overlap="3"), ("error", "task-overlap", "overlap")),
        (image(overlap=True), ("error", "task-overlap", "overlap")),
        (image(overlap=1, infinite_overlap=True, **known()), ("error", "task-overlap", "overlap")),
        (image(infinite_overlap="false"), ("error", "task-overlap", "infinite_overlap")),
        (image(infinite_overlap=1, **known()), ("error", "task-overlap", "infinite_overlap")),
        (image(reserved_for="a"), ("error", "task-key", "reserved_for")),
        (image(unavailable_for=[1]), ("error", "task-key", "unavailable_for")),
        (image(traits_all_of="a"), ("error", "task-key", "traits_all_of")),
        (image(pool_id="1 2"), ("error", "task-key", "pool_id")),
        (image(message_on_unknown_solution=True, **known()), ("error", "task-key", "message_on_unknown_solution")),
        (image(infinite_overlap=True), ("warning", "infinite-overlap", "infinite_overlap")),
        (image(overlpa=3), ("error", "task-key", "overlpa")),
        (image(priority_of_mine=3), ("warning", "unknown-task-key", "priority_of_mine")),
        (
            image(message_on_unknown_solution="A cat"),
            ("warning", "hint-without-solution", "message_on_unknown_solution"),
        ),
        (image(known_solutions={"kind": "cat"}), ("error", "task-key", "known_solutions")),
        (image(known_solutions=[{"kind": "cat"}]), ("error", "task-key", "known_solutions.0")),
        (
            image(known_solutions=[{"output_values": {}}]),
            ("warning", "control-empty", "known_solutions.0.output_values"),
        ),
        (
            image(known_solutions=[{"output_values": {"kind": "cta"}}]),
            ("error", "allowed-value", "known_solutions.0.output_values.kind"),
        ),
        (
            image(known_solutions=[{"output_values": {"knid": "cat"}}]),
            ("error", "unknown-field", "known_solutions.0.output_values.knid"),
        ),
        (
            image(known_solutions=[{"output_values": {"kind": "cat"}, "correctness_weight": 2}]),
            ("error", "task-key", "known_solutions.0.correctness_weight"),
        ),
        (
            image(known_solutions=[{"output_values": {"kind": "cat"}, "corectness_weight": 1}]),
            ("error", "task-key", "known_solutions.0.corectness_weight"),
        ),
        (
            image(baseline_solutions=[{"output_values": {"kind": 1}}]),
            ("error", "field-type", "baseline_solutions.0.output_values.kind"),
        ),
        ({"input_values": {}}, ("error", "required-field", "input_values.image")),
        ({"input_values": {"image": "a b"}}, ("warning", "url-syntax", "input_values.image")),
        ({"input_values": {"image": ""}}, ("warning", "url-syntax", "input_values.image")),
        ({"input_values": {"image": "a", "width": 1.5}}, ("error", "task-unreadable", "")),
        ({"input_vales": {"image": "a"}}, ("error", "task-unreadable", "")),
        (["a"], ("error", "task-unreadable", "")),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_task(tmp_path: Path, task: Any, expected: tuple[str, str, str]) -> None:
    file = write_jsonl(tmp_path / "tasks", [image(9), task])
    problems = check(file)
    assert rules(problems) == [expected]
    assert problems[0].line == 2


def test_a_task_without_an_overlap_needs_a_default() -> None:
    assert rules(check([image()], pool=POOL_WITHOUT_OVERLAP)) == [("error", "task-overlap", "0.overlap")]
    assert check([image(overlap=1), image(2, infinite_overlap=True, **known())], pool=POOL_WITHOUT_OVERLAP) == []
    assert check([image()], pool=None) == []


def test_golden_rows_of_a_table_need_no_overlap(tmp_path: Path) -> None:
    file = tmp_path / "tasks.csv"
    file.write_text("INPUT:image,GOLDEN:kind,TASK:overlap\na.jpg,cat,\nb.jpg,,3\nc.jpg,,\n")
    problems = check(file, pool=POOL_WITHOUT_OVERLAP)
    assert [(problem.line, problem.rule) for problem in problems] == [(4, "task-overlap")]


def test_tasks_of_a_training() -> None:
    right = image(1, **known(), message_on_unknown_solution="Whiskers: a cat")
    assert check([right], pool=None, training=TRAINING) == []
    problems = check([right, image(2)], pool=None, training=TRAINING)
    assert rules(problems) == [("warning", "training-without-solution", "1.known_solutions")]


def test_the_same_input_twice() -> None:
    tasks = [
        {"input_values": {"image": "a", "tags": ["x"]}},
        {"input_values": {"tags": ["x"], "image": "a"}, "overlap": 5},
        {"input_values": {"image": "a", "tags": ["y"]}},
        {"input_values": {"image": "a"}},
        {"input_values": {"image": "a"}, **known(), "infinite_overlap": True},
    ]
    problems = check(tasks)
    assert rules(problems) == [
        ("warning", "duplicate-task", "1.input_values"),
        ("warning", "duplicate-task", "4.input_values"),
    ]
    assert "are those of item 1, too" in problems[0].message
    assert "are those of item 4, too" in problems[1].message


def test_the_same_input_in_two_files(tmp_path: Path) -> None:
    first = write_jsonl(tmp_path / "first", [image(1), image(2)])
    second = write_jsonl(tmp_path / "second", [image(3), image(2)])
    problems, counts = check_tasks(Documents(PROJECT, POOL, tasks=(first, second)))
    [problem] = problems
    assert (problem.file, problem.line, problem.rule) == (str(second), 2, "duplicate-task")
    assert f"are those of {first}, line 2, too" in problem.message
    assert counts is not None
    assert counts.real == 4


def test_many_mistakes_of_one_kind_are_counted(tmp_path: Path) -> None:
    tasks = [{"input_values": {"image": str(number), "width": "wide"}} for number in range(1000)]
    tasks[500]["input_values"]["widht"] = 1
    problems = check(write_jsonl(tmp_path / "tasks", tasks))
    alike = [problem for problem in problems if problem.rule == "field-type"]
    assert [problem.line for problem in alike] == [*range(1, MAX_ALIKE + 1), MAX_ALIKE + 1]
    assert alike[-1].message.endswith(f"; and so it is in {1000 - MAX_ALIKE - 1} more")
    assert sum(problem.count for problem in alike) == 1000
    # Those of another kind are not lost among them.
    assert [problem.line for problem in problems if problem.rule == "unknown-field"] == [501]


def test_mistakes_of_many_kinds_end_somewhere() -> None:
    tasks = [{"input_values": {"image": str(number), f"of_task_{number}": 1}} for number in range(10 * MAX_DETAILED)]
    problems = check(tasks)
    assert len(problems) == 2 * MAX_DETAILED + 1
    assert problems[-1].message == f"there are errors of {8 * MAX_DETAILED} more kinds; mend these first"
    assert sum(problem.count for problem in problems) == len(tasks)


@pytest.mark.parametrize(
    ("name", "content", "line", "rule", "message"),
    [
        ("tasks.jsonl", b"", None, "no-tasks", "it has no tasks"),
        ("tasks.csv", b"", None, "task-file", "it is empty"),
        ("tasks.csv", b"INPUT:image\n", None, "no-tasks", "it has no tasks"),
        ("tasks.json", b"[]", None, "no-tasks", "it has no tasks"),
        ("tasks.json", b'{"input_values": {}}', None, "task-file", "it must be an array of tasks"),
        ("tasks.jsonl", b'{"input_values": {"image": "a"}}\n{"inp', 2, "task-unreadable", "it is not JSON"),
        ("tasks.jsonl", b'{"input_values": {"image": "a", "image": "b"}}', 1, "task-unreadable", "is there twice"),
        ("tasks.jsonl.gz", b"no gzip", 1, "task-file", "the compressed file breaks off or is damaged"),
        ("tasks.xlsx", b"", None, "task-file", "whose format is not known"),
        ("tasks.csv", b'INPUT:image\na.jpg\n"b.jpg\n', 3, "task-file", "it is not CSV"),
        ("tasks.csv", b"INPUT:image\na.jpg,1\n", 2, "task-unreadable", "must be in double quotes"),
        ("tasks.csv", b"INPUT:image;INPUT:width\na.jpg;1\n", 1, "task-file", ";"),
    ],
)
def test_what_cannot_be_read(
    tmp_path: Path, name: str, content: bytes, line: int | None, rule: str, message: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    [problem] = check(file)
    assert (problem.level, problem.rule, problem.line) == ("error", rule, line)
    assert message in problem.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    [problem] = check(tmp_path / "tasks.csv")
    assert (problem.level, problem.rule, problem.file) == ("error", "task-file", str(tmp_path / "tasks.csv"))
    assert "there is no such file" in problem.message


def test_a_task_too_large_for_a_request(tmp_path: Path) -> None:
    large = {"input_values": {"image": "a" * MAX_INPUT_BYTES}}
    assert rules(check(write_jsonl(tmp_path / "tasks", [image(), large]))) == [("error", "task-size", "input_values")]


@pytest.mark.parametrize("name", ["tasks.csv", "tasks.jsonl"])
def test_without_a_project_tasks_are_counted(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    if name.endswith("csv"):
        file.write_text("INPUT:any,GOLDEN:thing\n1,\n2,a\n")
    else:
        write_jsonl(
            file, [{"input_values": {"any": 1.0}}, {"input_values": {"any": 2}, **known(infinite_overlap=True)}]
        )
    problems, counts = check_tasks(Documents(None, POOL, tasks=file))
    assert problems == []
    assert counts is not None
    assert (counts.real, counts.control) == (1, 1)


def test_a_project_whose_fields_are_wrong_themselves_is_no_reason_to_fail() -> None:
    spec = {"input_spec": {"image": {"type": 1}, "a": "b", "c": {}}, "output_spec": []}
    project = Document("project", {"task_spec": spec})
    assert rules(check([{"input_values": {"image": 1, "c": 2}}], project=project)) == []
    assert rules(check([image()], project=Document("project", {"task_spec": 1}))) == []


def test_progress_ends_with_all(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "tasks", [image(number) for number in range(5000)])
    shares: list[float] = []
    check_tasks(Documents(PROJECT, POOL, tasks=(file, file)), on_progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) > 4
    assert any(0.5 <= share < 1 for share in shares)
