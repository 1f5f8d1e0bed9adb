"""The beginning of a world from one document: projects, pools, tasks, people, money, faults, ..."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.forms import settings
from toloka_airflow.emulator.forms.schema import Field, Form, checked
from toloka_airflow.emulator.resources import projects, skills, uploads, user_restrictions, user_skills, webhooks
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.resources.tasks import TASKS
from toloka_airflow.emulator.simulation import samples, snapshot
from toloka_airflow.emulator.world.errors import Problems, Refusal, invalid, problem
from toloka_airflow.emulator.world.ids import DIGITS

if TYPE_CHECKING:
    from toloka_airflow.emulator.people.crowd import PeopledWorld
    from toloka_airflow.emulator.world.entities import Json, Pool

# What is said of a skill, a project or a pool here besides the fields that it has in the API.
IN_SKILL: Form = {"id": Field("id")}
IN_PROJECT: Form = {"id": Field("id"), "trainings": settings.OBJECTS, "pools": settings.OBJECTS}
IN_POOL: Form = {"id": Field("id"), "tasks": Field("any"), "open": settings.FLAG}
MAX_TASKS = 1_000_000
# The API limits the size of one upload.
PART = 100
# As many digits as the ids of tasks have room for.
MAX_ID = 16**10


def load(world: PeopledWorld, document: object) -> Json:
    """Add all that the document tells of, or nothing if any of it is wrong; return the ids."""
    clean = checked(document, settings.SEED)
    with world.up_to_date():
        before = snapshot.take(world)
        try:
            return _load(world, clean)
        except Refusal:
            snapshot.restore(world, before)
            raise


def add_pool(
    world: PeopledWorld, tasks: int | Sequence[Json], *, overlap: int, open: bool, project: Json | None, **body: Any
) -> str:
    """Add a pool in a project of its own and return its id; what is not told is as in the samples."""
    if isinstance(tasks, int):
        items: Any = tasks
        sample = samples.project()
    else:
        items = [{"input_values": values} for values in tasks]
        sample = samples.project(tasks)
    pool = samples.pool(world.now, overlap) | body | {"tasks": items, "open": open}
    around = sample | (project or {})
    added = load(world, {"projects": [around | {"pools": [pool]}]})
    return str(added["pools"][0])


def _load(world: PeopledWorld, document: Json) -> Json:
    if "balance" in document:
        world.set_balance(document["balance"])
    if "tokens" in document:
        world.accept_only(settings.tokens(document["tokens"]))
    if "crowd" in document:
        with _at("crowd"):
            world.crowd.change(**settings.crowd(document["crowd"]))
    if "truth" in document:
        with _at("truth"):
            world.crowd.truth.tell(settings.rules(document["truth"]))
    for i, body in enumerate(document.get("operations", [])):
        with _at(f"operations.{i}"):
            progression, scope = settings.progression(body)
            world.progressions.set(progression, **scope)
    for i, body in enumerate(document.get("faults", [])):
        with _at(f"faults.{i}"):
            world.faults.add(**checked(body, settings.FAULT))
    added: Json = {"projects": [], "trainings": [], "pools": []}
    for name, add in (
        ("skills", _add_skill),
        ("projects", partial(_add_project, added=added)),
        ("user_skills", user_skills.put),
        ("user_restrictions", user_restrictions.put),
        ("webhooks", webhooks.put),
    ):
        for i, body in enumerate(document.get(name, [])):
            with _at(f"{name}.{i}"):
                add(world, body)
    world.sort()
    return added


def _add_skill(world: PeopledWorld, body: Json) -> None:
    own, body = _split(body, IN_SKILL)
    _claim(world, own)
    skills.create(world, body)


def _add_project(world: PeopledWorld, body: Json, added: Json) -> None:
    own, body = _split(body, IN_PROJECT)
    _claim(world, own)
    project = projects.create(world, samples.project() | body)
    added["projects"].append(project.id)
    # Trainings first: pools refer to them.
    for kind in ("trainings", "pools"):
        for i, pool_body in enumerate(own.get(kind, [])):
            with _at(f"{kind}.{i}"):
                pool = _add_pool(world, {**pool_body, "project_id": project.id}, training=kind == "trainings")
                added[kind].append(pool.id)


def _add_pool(world: PeopledWorld, body: Json, *, training: bool) -> Pool:
    own, body = _split(body, IN_POOL)
    _claim(world, own)
    sample = samples.training() if training else samples.pool(world.now)
    pool = pools.create(world, sample | body, training=training)
    with _at("tasks"):
        items = _listed(own.get("tasks", 0))
    for start in range(0, len(items), PART):
        with _at("tasks", start):
            part = [_in_pool(item, pool) for item in items[start : start + PART]]
            uploads.create(world, TASKS, part, uploads.Options(allow_defaults=True))
    if own.get("open"):
        with _at("open"):
            pools.open_checked(world, pool)
    return pool


def _listed(told: Any) -> list[Any]:
    if isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= MAX_TASKS:
        return samples.tasks(told)
    if not isinstance(told, list):
        raise ValueError(f"tasks must be an array, or a number up to {MAX_TASKS}")
    return told


def _in_pool(item: Any, pool: Pool) -> Any:
    return {**item, "pool_id": pool.id} if isinstance(item, dict) else item


def _split(body: Json, form: Form) -> tuple[Json, Json]:
    own = {name: value for name, value in body.items() if name in form}
    return checked(own, form), {name: value for name, value in body.items() if name not in form}


def _claim(world: PeopledWorld, own: Json) -> None:
    """Let the next skill, project or pool get the id that was asked for."""
    if "id" not in own:
        return
    number = own["id"]
    if not DIGITS.fullmatch(number) or int(number) >= MAX_ID or number != str(int(number)):
        raise invalid({"id": problem("INVALID_VALUE", f"Value must be a number below {MAX_ID}")})
    if any(number in known for known in (world.projects, world.pools, world.skills)):
        raise invalid({"id": problem("ENTITY_CONFLICT", "The id is taken")})
    world.ids.claim(number)


@contextmanager
def _at(place: str, start: int = 0) -> Iterator[None]:
    """Name the place of what is wrong; of a part of a list, which begins at `start`, the place in the list."""
    try:
        yield
    except ValueError as exc:
        raise invalid({place: problem("INVALID_VALUE", str(exc))}) from exc
    except Refusal as refusal:
        raise invalid(_placed(place, start, refusal)) from refusal


def _placed(place: str, start: int, refusal: Refusal) -> Problems:
    if refusal.code != "VALIDATION_ERROR":
        return {place: problem(refusal.code, refusal.message)}
    placed: Problems = {}
    for name, wrong in (refusal.payload or {}).items():
        if "code" in wrong:
            placed[f"{place}.{name}"] = wrong
        else:
            # Of an upload, the payload tells of each item and then of each field.
            placed |= {f"{place}.{start + int(name)}.{field}": told for field, told in wrong.items()}
    return placed
