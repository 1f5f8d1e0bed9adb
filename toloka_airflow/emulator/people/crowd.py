"""Simulated Tolokers: they take suites from open pools and answer them in their own time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any

from toloka_airflow.emulator.people import files, profiles
from toloka_airflow.emulator.people.habits import NO_HABITS, Habits
from toloka_airflow.emulator.people.truth import Truth, wrong
from toloka_airflow.emulator.quality import audience
from toloka_airflow.emulator.resources import assignments, overlaps, pricing, suites
from toloka_airflow.emulator.resources.pools import pools
from toloka_airflow.emulator.world.clock import DAY, MINUTE, SECOND
from toloka_airflow.emulator.world.items import Part
from toloka_airflow.emulator.world.world import World

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json, Pool
    from toloka_airflow.emulator.world.items import Assignment, Task
    from toloka_airflow.emulator.world.people import Profile
    from toloka_airflow.emulator.world.world import Action

MAX_SIZE = 100_000
MAX_SHARED = 1_000
DAY_IN_SECONDS = 24 * 3600
HOUR = 60 * MINUTE
SHARES = ("skip_rate", "expire_rate", "careless_people", "fast_people", "skipping_people", "skipping_skip_rate")
MAKE_WORK = (
    "pool.opened",
    "training.opened",
    "tasks.created",
    "task_suites.created",
    "task.changed",
    "overlap.changed",
    "operation.finished",
    "assignment.skipped",
    "assignment.expired",
)
CHANGE_A_PERSON = ("user_skill.set", "user_skill.removed", "user_restriction.lifted")


@dataclass(frozen=True)
class CrowdSettings:
    """
    Describe the crowd.

    :param size: How many people there are.
    :param accuracy: Lowest and highest share of right answers of a person.
    :param seconds_per_task: Lowest and highest pace of a person.
    :param skip_rate: Share of suites that are left unanswered on purpose.
    :param expire_rate: Share of suites that are forgotten until their time is over.
    :param active_hours: From which hour to which hour of the day (UTC) people take suites; (22, 6) is the night.
    :param careless_people: Share of the people who do not care; `careless_accuracy` is their accuracy.
    :param fast_people: Share of the people who hurry; `fast_seconds_per_task` is their pace.
    :param skipping_people: Share of the people who choose; `skipping_skip_rate` is the share of suites that they skip.
    :param languages: Share of the people who speak each language, by its code.
    :param countries: How the people spread over countries: a share by the code of each.
    :param devices: How the people spread over device categories, such as SMARTPHONE.
    """

    size: int = 40
    accuracy: tuple[float, float] = (0.75, 0.98)
    seconds_per_task: tuple[float, float] = (4.0, 20.0)
    skip_rate: float = 0.02
    expire_rate: float = 0.01
    active_hours: tuple[float, float] = (0, 24)
    careless_people: float = 0.0
    careless_accuracy: tuple[float, float] = (0.3, 0.5)
    fast_people: float = 0.0
    fast_seconds_per_task: tuple[float, float] = (0.5, 1.5)
    skipping_people: float = 0.0
    skipping_skip_rate: float = 0.9
    languages: dict[str, float] = field(default_factory=lambda: dict(profiles.LANGUAGES))
    countries: dict[str, float] = field(default_factory=lambda: dict(profiles.COUNTRIES))
    devices: dict[str, float] = field(default_factory=lambda: dict(profiles.DEVICES))

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise ValueError(f"size must be between 0 and {MAX_SIZE}, not {self.size}")
        for name in ("accuracy", "careless_accuracy"):
            _check_range(name, getattr(self, name), 1)
        for name in ("seconds_per_task", "fast_seconds_per_task"):
            _check_range(name, getattr(self, name), DAY_IN_SECONDS)
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)}")
        for name in ("skip_rate", "skipping_skip_rate") if self.skipping_people else ("skip_rate",):
            if getattr(self, name) + self.expire_rate > 1:
                raise ValueError(f"{name} and expire_rate together must not be greater than 1")
        # Nobody has two habits.
        if self.careless_people + self.fast_people + self.skipping_people > 1 + 1e-9:
            raise ValueError("careless_people, fast_people and skipping_people together must not be greater than 1")
        profiles.check(self.languages, self.countries, self.devices)
        begin, end = self.active_hours
        if not (0 <= begin <= 24 and 0 <= end <= 24 and begin != end):
            raise ValueError(f"active_hours must be two different hours from 0 to 24, not {list(self.active_hours)}")

    def rest(self, now: int) -> int:
        """Return for how long nobody takes a suite, in virtual milliseconds; 0 if people are active."""
        begin, end = (round(hour * HOUR) for hour in self.active_hours)
        since_begin = (now - begin) % DAY
        return 0 if since_begin < ((end - begin) % DAY or DAY) else DAY - since_begin


def _check_range(name: str, bounds: tuple[float, float], highest: float) -> None:
    low, high = bounds
    if not (math.isfinite(low) and 0 <= low <= high <= highest):
        raise ValueError(f"{name} must be [low, high] with 0 <= low <= high <= {highest}, not {list(bounds)}")


@dataclass(slots=True)
class Person:
    """A Toloker; `skill` and `slowness` are places between the lowest and the highest of the settings."""

    number: int
    user_id: str
    skill: float
    slowness: float
    idle: bool = True


class Crowd:
    """
    Let people work.

    Nobody polls: a person without work is idle until an event makes work.
    """

    def __init__(self, world: World, settings: CrowdSettings) -> None:
        self._world = world
        self._random = Random(f"{world.seed}:crowd")
        self.settings = settings
        self.truth = Truth(world.seed)
        self._people: list[Person] = []
        self._begin: int | None = None
        self._answers: dict[str, Json] = {}
        self._by_id: dict[str, Person] = {}
        self._grow()

    def listen(self) -> None:
        """Take note of everything that makes work."""
        for event in MAKE_WORK:
            self._world.listen(event, self._work_appeared)
        for event in CHANGE_A_PERSON:
            self._world.listen(event, self._person_changed)

    @property
    def user_ids(self) -> list[str]:
        """Return the ids of the people, as `reserved_for` and `unavailable_for` name them."""
        return [person.user_id for person in self._people[: self.settings.size]]

    def change(self, **settings: Any) -> None:
        """Change some settings; who is surplus then ends the suite at hand and takes no other."""
        with self._world.up_to_date():
            self.settings = replace(self.settings, **settings)
            self._grow()
            for person in self._people:
                self._world.people[person.user_id] = self._profile(person)
            self.wake()

    def find_people(self) -> None:
        """Find again by id who there is; what nobody has told of a person is drawn."""
        self._by_id = {person.user_id: person for person in self._people}
        for person in self._people:
            if person.user_id not in self._world.people:
                self._world.people[person.user_id] = self._profile(person)

    def people(self) -> list[Json]:
        """Return what each person is really like, which nobody knows at Toloka."""
        return [self._shown(person) for person in self._people[: self.settings.size]]

    def _shown(self, person: Person) -> Json:
        own = self._world.people[person.user_id]
        return {
            "user_id": person.user_id,
            "accuracy": self._accuracy(person),
            "seconds_per_task": self._pace(person),
            "skip_rate": self._skip_rate(person),
            **asdict(self._habits(person)),
            "languages": list(own.languages),
            "country": own.country,
            **own.attributes,
        }

    def _profile(self, person: Person) -> Profile:
        mix = self.settings.languages, self.settings.countries, self.settings.devices
        return profiles.draw(self._world.seed, person.number, *mix)

    def _habits(self, person: Person) -> Habits:
        told = self.settings
        if not (told.careless_people or told.fast_people or told.skipping_people):
            return NO_HABITS
        shares = told.careless_people, told.fast_people, told.skipping_people
        return Habits.draw(self._world.seed, person.number, *shares)

    def _grow(self) -> None:
        for number in range(len(self._people), self.settings.size):
            # One generator per person: a larger crowd has the same people in it, and some more.
            random = Random(f"{self._world.seed}:person:{number}")
            user_id = f"{random.getrandbits(128):032x}"
            person = Person(number, user_id, random.random(), random.random())
            self._people.append(person)
            self._by_id[user_id] = person
            self._world.people[user_id] = self._profile(person)

    def _work_appeared(self, facts: Json) -> None:
        pool = self._world.pools.get(facts.get("pool_id", ""))
        if pool is not None and pool.hands_out:
            self.wake()

    def wake(self) -> None:
        """Let everybody who is idle look for work, now or when the active hours begin."""
        if self._rest():
            return
        for person in self._people[: self.settings.size]:
            self._wake(person)

    def _person_changed(self, facts: Json) -> None:
        """Let somebody look for work who may get more of it than before."""
        person = self._by_id.get(facts["user_id"])
        if person is not None and person.number < self.settings.size and self._open_pools() and not self._rest():
            self._wake(person)

    def _wake(self, person: Person) -> None:
        if person.idle:
            person.idle = False
            delay = self._random.random() * self._pace(person)
            self._world.at(self._world.now + round(delay * SECOND), _look_for_work, person=person)

    def _rest(self) -> bool:
        rest = self.settings.rest(self._world.now)
        begin = self._world.now + rest
        if rest and self._begin != begin:
            self._begin = begin
            self._world.at(begin, _begin)
        return rest > 0

    def look_for_work(self, person: Person) -> None:
        """Take a suite from the first open pool that has one for this person, else be idle."""
        if person.number < self.settings.size and not self._rest():
            for pool in self._open_pools():
                if self._take_suite(person, pool):
                    return
        person.idle = True

    def _open_pools(self) -> list[Pool]:
        open_pools = [pool for pool in self._world.pools.values() if pool.hands_out]
        # Who passed a training has what pays first, and does not finish the training before.
        return sorted(open_pools, key=lambda pool: (-pool.body.get("priority", 0), pool.is_training))

    def _take_suite(self, person: Person, pool: Pool) -> bool:
        if not audience.may_work(self._world, pool, person.user_id):
            return False
        whole = pool.whole_suites.take_first(person.user_id)
        singles = [] if whole else _compose(person, pool)
        if not whole and not singles:
            return False
        _, price = pricing.offer(self._world, pool, person.user_id)
        if not self._world.account.can_pay(price):
            for item in [whole] if whole else singles:
                overlaps.offer(item)
            pools.close_now(self._world, pool, "NOT_ENOUGH_BALANCE")
            return False
        suite = whole or suites.mix(self._world, pool, singles)
        self._plan(person, assignments.hand_out(self._world, suite, person.user_id))
        return True

    def _plan(self, person: Person, assignment: Assignment) -> None:
        limit = assignment.pool.body.get("assignment_max_duration_seconds", DAY_IN_SECONDS)
        seconds = self._pace(person) * len(assignment.tasks) * self._random.uniform(0.6, 1.4)
        # Whoever is too slow for the limit hurries; expire_rate alone says how many suites expire.
        seconds = min(seconds, 0.95 * limit)
        luck = self._random.random()
        skip_rate = self._skip_rate(person)
        if luck < skip_rate:
            self._later(seconds * 0.3, _skip, person, assignment)
        elif luck < skip_rate + self.settings.expire_rate:
            self._later(limit, _expire, person, assignment)
        else:
            self._later(seconds, _submit, person, assignment)

    def _later(self, seconds: float, action: Action, person: Person, assignment: Assignment) -> None:
        self._world.at(self._world.now + max(1, round(seconds * SECOND)), action, person=person, assignment=assignment)

    def answers(self, person: Person, assignment: Assignment) -> list[Json]:
        """Return a person's answers, right as often as the person's accuracy says."""
        project = self._world.projects[assignment.pool.body["project_id"]]
        spec = project.body["task_spec"]["output_spec"]
        answers = [self._answer(person, task, spec) for task in assignment.tasks]
        if not any("file" in str(field["type"]).lower() for field in spec.values()):
            return answers
        pairs = zip(assignment.tasks, answers, strict=True)
        return [files.upload(self._world, assignment, task, values, spec) for task, values in pairs]

    def _answer(self, person: Person, task: Task, output_spec: Json) -> Json:
        accuracy = self._accuracy(person)
        truth = self.truth.of(task, output_spec)
        values = {
            name: truth[name] if self._random.random() < accuracy else wrong(spec, truth[name], self._random)
            for name, spec in output_spec.items()
        }
        return self._shared(values)

    def _shared(self, values: Json) -> Json:
        """Return one object for all equal answers: most questions have few of them, and then it saves memory."""
        if len(self._answers) >= MAX_SHARED:
            self._answers.clear()
        return self._answers.setdefault(repr(values), values)

    def _accuracy(self, person: Person) -> float:
        told = self.settings
        return _between(told.careless_accuracy if self._habits(person).careless else told.accuracy, person.skill)

    def _pace(self, person: Person) -> float:
        told = self.settings
        bounds = told.fast_seconds_per_task if self._habits(person).fast else told.seconds_per_task
        return _between(bounds, person.slowness)

    def _skip_rate(self, person: Person) -> float:
        told = self.settings
        return told.skipping_skip_rate if self._habits(person).skipping else told.skip_rate


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * share


PARTS = ((Part.REAL, "real"), (Part.GOLDEN, "golden"), (Part.HINT, "training"))


def _compose(person: Person, pool: Pool) -> list[Task]:
    """
    Take tasks of each kind for a suite, or none of any if too few of a kind are left for this person.

    As the official client and the guide say: fewer real tasks than are wanted at least are only given out as the last
    suite, and then the number of the others is complete.
    """
    mixer = _mixer(pool)
    if mixer is None:
        return []
    counts: dict[Part, int] = {part: mixer[f"{kind}_tasks_count"] for part, kind in PARTS}
    picks = {part: pool.single_tasks.find(part, person.user_id, count) for part, count in counts.items()}
    least: dict[Part, int] = {part: mixer.get(f"min_{kind}_tasks_count", counts[part]) for part, kind in PARTS}
    if len(picks[Part.REAL].things) < least[Part.REAL]:
        least = counts | {Part.REAL: 1 if mixer.get("force_last_assignment", True) else least[Part.REAL]}
    if any(len(pick.things) < least[part] for part, pick in picks.items()):
        return []
    return [task for pick in picks.values() for task in pick.take()]


def _mixer(pool: Pool) -> Json | None:
    if pool.is_training:
        count = pool.body["training_tasks_in_task_suite_count"]
        return {"real_tasks_count": count, "golden_tasks_count": 0, "training_tasks_count": 0}
    return pool.body.get("mixer_config")


class PeopledWorld(World):
    """A world with a crowd in it."""

    crowd: Crowd


def _begin(world: PeopledWorld) -> None:
    world.crowd.wake()


def _look_for_work(world: PeopledWorld, person: Person) -> None:
    world.crowd.look_for_work(person)


def _submit(world: PeopledWorld, person: Person, assignment: Assignment) -> None:
    assignments.submit(world, assignment, world.crowd.answers(person, assignment))
    world.crowd.look_for_work(person)


def _skip(world: PeopledWorld, person: Person, assignment: Assignment) -> None:
    assignments.skip(world, assignment)
    world.crowd.look_for_work(person)


def _expire(world: PeopledWorld, person: Person, assignment: Assignment) -> None:
    assignments.expire(world, assignment)
    world.crowd.look_for_work(person)
