"""
Mistakes made by a program in configurations that are right.

A mutant has one mistake, of the kind of one that people make:

- ``key``: a key of the API's is misspelt: a letter is missing, double, another one, or has changed places with the
  next one; the end is missing, or an s is added; it is written with capitals, or with hyphens. Names that the requester
  chooses (fields of tasks, metadata, components of Template Builder) are no keys of the API's.
- ``enum``: the same in a value that is one of a list, and in the names that conditions, collectors and filters are
  made of.
- ``reference``: an id or a name of something else is empty, null, or not of its form; the name of an output field, or
  of what a skill is set from, is misspelt.
- ``required``: what the documentation calls required is not there.
- ``type``: a value is of another type: text or true instead of a number, text or 1 instead of true and false, a number
  instead of text, an object instead of a list or a list instead of an object, a list of the value, null.
- ``sign``: a number is negative that counts or pays.
- ``empty``: a list has no elements that means nothing without, or a text that must be there has no letters.

No mutant is another valid configuration, as far as the documentation says: free text may be any text, "URL" is as good
as "url" in the examples, EN with its letters changed is NE, the code of Nepali, a skill's value may be text, and an id
may be a number. Nor are mistakes made that no reader of the files could find: an id that is another one's, 0.5 instead
of 0.05, GT instead of LT. Of those that can be found all are made, in every place where they fit, not some.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

Path = tuple[str | int, ...]

REQUIRED = {
    "project": {"public_name", "public_description", "task_spec", "assignments_issuing_type"},
    "pool": {
        *("project_id", "private_name", "will_expire", "reward_per_assignment", "assignment_max_duration_seconds"),
        "defaults",
    },
    "training": {"project_id", "private_name", "inherited_instructions", "training_tasks_in_task_suite_count"},
}
"""By section 9, 10 and 11 of the notes on the API reference: what is required of each."""

REQUIRED_BELOW = {
    "task_spec": {"input_spec", "output_spec"},
    "input_spec.*": {"type"},
    "output_spec.*": {"type"},
    "configs.*": {"collector_config", "rules"},
    "collector_config": {"type"},
    "rules.*": {"conditions", "action"},
    "conditions.*": {"key", "operator", "value"},
    "action": {"type"},
    "training_requirement": {"training_pool_id", "training_passing_skill_value"},
    "dynamic_pricing_config": {"type", "skill_id", "intervals"},
    "dynamic_overlap_config": {"type", "max_overlap", "min_confidence", "answer_weight_skill_id", "fields"},
    "fields.*": {"name"},
    "mixer_config": {"real_tasks_count", "golden_tasks_count", "training_tasks_count"},
    "defaults": {"default_overlap_for_new_task_suites"},
    "real_settings": {"target_overlap", "task_distribution_function"},
    "golden_settings": {"target_overlap", "task_distribution_function"},
    "training_settings": {"target_overlap", "task_distribution_function"},
    "task_distribution_function": {"scope", "distribution", "window_days", "intervals"},
    "golden_task_distribution_function": {"scope", "distribution", "window_days", "intervals"},
    "training_task_distribution_function": {"scope", "distribution", "window_days", "intervals"},
    "speed_quality_balance": {"type", "percent"},
    "and.*": {"category", "key", "operator", "value"},
    "or.*": {"category", "key", "operator", "value"},
}
"""By what they are in: the last keys that lead there, ``*`` for any element or field."""

REQUIRED_OF_ACTIONS = {
    "RESTRICTION": {"scope"},
    "RESTRICTION_V2": {"scope", "duration_unit", "duration"},
    "SET_SKILL": {"skill_id", "skill_value"},
    "SET_SKILL_FROM_OUTPUT_FIELD": {"skill_id", "from_field"},
    "CHANGE_OVERLAP": {"delta"},
    "REJECT_ALL_ASSIGNMENTS": {"public_comment"},
    "ASSIGNMENT_SUBMIT_TIME": {"fast_submit_threshold_seconds"},
    "MAJORITY_VOTE": {"answer_threshold"},
}
"""Of the parameters of actions and collectors; those that have none required are not here."""

NEVER_EMPTY = {"conditions", "rules", "and", "or", "fields"}
"""The lists that mean nothing without elements."""

OF_A_LIST = {
    *("assignments_issuing_type", "captcha_frequency", "default_language", "distribution", "duration_unit"),
    *("category", "operator", "scope", "type", "status", "last_close_reason"),
}
REFERENCES = {"project_id", "training_pool_id", "skill_id", "answer_weight_skill_id"}
CHOSEN_NAMES = {"input_spec", "output_spec", "metadata", "lock"}
"""The objects whose keys are chosen by the requester."""

READ_ONLY = {"id", "owner", "status", "created", "last_started", "last_stopped", "last_close_reason"}
"""What the API sends, and ignores when it is sent back."""

MAY_BE_ANOTHER = {("EN", "NE"), ("RU", "UR"), ("URL", "url"), ("url", "URL")}
"""Values and what misspelling makes of them that is valid, too."""


class Mutant(NamedTuple):
    """
    A configuration with one mistake.

    :param kind: The kind of the mistake.
    :param path: Where it is: the keys, with the misspelt one, or the one that is missing, at the end.
    :param change: What was done, in short.
    :param value: The configuration.
    """

    kind: str
    path: Path
    change: str
    value: dict[str, Any]

    @property
    def named(self) -> str:
        """Return what was done, without the places in lists: the same mistake has the same name."""
        return f"{self.kind} {'.'.join('*' if isinstance(step, int) else step for step in self.path)}: {self.change}"


def mutants(kind: str, value: dict[str, Any], inside: Path = ()) -> Iterator[Mutant]:
    """
    Iterate over the mutants of a configuration.

    :param inside: Where the mistakes are made; the rest of the configuration is only there to make it a whole.
    """
    for path in list(paths_of(value)):
        if path[: len(inside)] == inside:
            yield from _misspelt_keys(value, path)
            yield from _misspelt_values(value, path)
            yield from _broken_references(value, path)
            yield from _missing(kind, value, path)
            yield from _wrong_types(value, path)
            yield from _negative(value, path)
            yield from _empty(kind, value, path)


def paths_of(value: Any, at: Path = ()) -> Iterator[Path]:
    """Iterate over the paths of all values in a configuration."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield (*at, key)
        yield from paths_of(part, (*at, key))


def get(value: Any, path: Path) -> Any:
    """Return what is at a path."""
    for step in path:
        value = value[step]
    return value


def with_value(value: dict[str, Any], path: Path, change: Any) -> dict[str, Any]:
    """Return a configuration with another value at a path."""
    changed = copy.deepcopy(value)
    get(changed, path[:-1])[path[-1]] = change
    return changed


def without(value: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a configuration without what is at a path."""
    changed = copy.deepcopy(value)
    del get(changed, path[:-1])[path[-1]]
    return changed


def _renamed(value: dict[str, Any], path: Path, name: str) -> dict[str, Any]:
    """Return the configuration with another key at the same place."""
    changed = copy.deepcopy(value)
    parent = get(changed, path[:-1])
    fields = [(name if key == path[-1] else key, part) for key, part in parent.items()]
    parent.clear()
    parent.update(fields)
    return changed


def misspelt(name: str) -> Iterator[tuple[str, str]]:
    """Iterate over misspellings of a name, each with what was done."""
    middle = len(name) // 2
    if len(name) > 1:
        yield "a letter missing", name[:middle] + name[middle + 1 :]
        yield "letters swapped", name[: middle - 1] + name[middle] + name[middle - 1] + name[middle + 1 :]
        yield "a letter another", f"{name[:middle]}{'q' if name.islower() else 'Q'}{name[middle + 1 :]}"
    if len(name) > 4:
        yield "the end missing", name[:-2]
    yield "a letter double", name[: middle + 1] + name[middle:]
    yield "an s", f"{name}{'s' if name.islower() else 'S'}"
    if "_" in name:
        yield "hyphens", name.replace("_", "-")
    if "_" in name and name.islower():
        yield "in capitals inside", "".join(f"{part[0].upper()}{part[1:]}" for part in name.split("_") if part)
    yield "in the other case", name.lower() if name.isupper() else name.upper()


def _is_chosen(path: Path) -> bool:
    """Return whether a key is a name that the requester chose, or below free content."""
    return len(path) > 1 and path[-2] in CHOSEN_NAMES


def _misspelt_keys(value: dict[str, Any], path: Path) -> Iterator[Mutant]:
    key = path[-1]
    if isinstance(key, int) or _is_chosen(path):
        return
    for change, name in misspelt(key):
        if name not in get(value, path[:-1]) and name != key:
            yield Mutant("key", (*path[:-1], name), f"{key} with {change}", _renamed(value, path, name))


def _is_of_a_list(value: dict[str, Any], path: Path) -> bool:
    """Return whether a text is one of a list of values, or a name that the API gives."""
    text = get(value, path)
    if not isinstance(text, str) or not text or text[0].isdigit() or _is_chosen(path):
        return False
    return (
        path[-1] in OF_A_LIST
        or path[-1] in ("key", "from_field")
        or (path[-1] == "value" and "filter" in path)
        or (path[-1] == "value" and "conditions" in path)
    )


def _misspelt_values(value: dict[str, Any], path: Path) -> Iterator[Mutant]:
    if _is_of_a_list(value, path):
        text = get(value, path)
        for change, name in misspelt(text):
            if name != text and (text, name) not in MAY_BE_ANOTHER:
                yield Mutant("enum", path, f"{text} with {change}", with_value(value, path, name))


def _is_reference(value: dict[str, Any], path: Path) -> bool:
    parent = get(value, path[:-1])
    if path[-1] in REFERENCES:
        return True
    if path[-1] == "key":
        return isinstance(parent, dict) and parent.get("category") == "skill"
    return path[-1] == "value" and isinstance(parent, dict) and parent.get("key") == "skill_id"


def _broken_references(value: dict[str, Any], path: Path) -> Iterator[Mutant]:
    if _is_reference(value, path):
        for broken in ("", "abc", "12 3", "-1", -1, 1.5, None, ["21"]):
            yield Mutant("reference", path, repr(broken), with_value(value, path, broken))
    elif path[-1] == "name" and len(path) > 2 and path[-3] == "fields":
        name = get(value, path)
        for broken in ("", *(wrong for _, wrong in misspelt(name)), None):
            yield Mutant("reference", path, repr(broken), with_value(value, path, broken))
    elif path[-1] == "from_field":
        yield Mutant("reference", path, "empty", with_value(value, path, ""))


def _pattern(path: Path) -> tuple[str, ...]:
    return tuple("*" if isinstance(step, int) else step for step in path)


def _required(kind: str, value: dict[str, Any], at: Path) -> set[str]:
    """Return which keys the documentation requires of an object."""
    if not at:
        return REQUIRED[kind]
    if at[-1] == "parameters":
        parent = get(value, at[:-1])
        return REQUIRED_OF_ACTIONS.get(parent["type"], set())
    last = str(_pattern(at)[-1])
    in_specs = len(at) > 1 and at[-2] in ("input_spec", "output_spec")
    name = f"{at[-2]}.*" if last == "*" or in_specs else last
    if last == "conditions":
        return set()
    if last == "view_spec":
        return {"config"} if get(value, at).get("type") == "tb" else set()
    if name in ("and.*", "or.*") and "category" not in get(value, at):
        return set()
    return REQUIRED_BELOW.get(name, set())


def _missing(kind: str, value: dict[str, Any], path: Path) -> Iterator[Mutant]:
    key, parent = path[-1], get(value, path[:-1])
    if not isinstance(parent, dict) or key not in _required(kind, value, path[:-1]):
        return
    # A ban of no duration is what PERMANENT is, and people without a skill are those with EQ and no value.
    if parent.get("category") == "skill" and key == "value" and parent["operator"] in ("EQ", "NE"):
        return
    yield Mutant("required", path, "missing", without(value, path))


def _wrong_types(value: dict[str, Any], path: Path) -> Iterator[Mutant]:
    told, key = get(value, path), path[-1]
    if _is_reference(value, path):
        return  # these are references
    parent = get(value, path[:-1])
    of_a_skill = key == "value" and isinstance(parent, dict) and parent.get("category") == "skill"
    wrong: list[Any] = [None]
    if isinstance(told, bool):
        wrong += ["yes", 1]
    elif isinstance(told, (int, float)):
        wrong += ["many", True, [told], *([] if of_a_skill else [str(told)])]
    elif isinstance(told, str):
        wrong += [{"text": told}, *([] if of_a_skill or key == "id" else [7])]
        wrong += [] if key == "value" and parent.get("key") == "languages" else [[told]]
    elif isinstance(told, list):
        wrong += [{}, "many"]
    else:
        wrong += [[], "many"]
    for other in wrong:
        if other is None and _may_be_null(value, path):
            continue
        yield Mutant("type", path, f"{_type(told)} is {_type(other)}", with_value(value, path, other))


def _may_be_null(value: dict[str, Any], path: Path) -> bool:
    """Return whether the documentation has null there: a count that a function gives, and what is unknown of people."""
    parent = get(value, path[:-1])
    if isinstance(path[-1], str) and path[-1].startswith("min_") and path[-2] == "mixer_config":
        return True
    if path[-1] != "value" or not isinstance(parent, dict):
        return False
    no_skill = parent.get("category") == "skill" and parent["operator"] in ("EQ", "NE")
    return no_skill or str(parent.get("key")).startswith("region_by_")


def _type(value: Any) -> str:
    return f"text {value!r}" if isinstance(value, str) and len(value) < 8 else type(value).__name__


def _negative(value: dict[str, Any], path: Path) -> Iterator[Mutant]:
    told = get(value, path)
    if isinstance(told, bool) or not isinstance(told, (int, float)) or _is_reference(value, path):
        return
    if path[-1] != "delta":  # an overlap may be made smaller
        yield Mutant("sign", path, "negative", with_value(value, path, -1 if isinstance(told, int) else -0.01))


def _empty(kind: str, value: dict[str, Any], path: Path) -> Iterator[Mutant]:
    told, key = get(value, path), path[-1]
    if isinstance(told, list) and key in NEVER_EMPTY:
        yield Mutant("empty", path, "no elements", with_value(value, path, []))
    if isinstance(told, str) and len(path) == 1 and key in REQUIRED[kind] and not _is_of_a_list(value, path):
        yield Mutant("empty", path, "no letters", with_value(value, path, " "))
