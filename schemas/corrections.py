"""
What is wrong in the public API document, and what is right, with the reason.

R is the document, the page is that of the documentation of the same call or rule (toloka.ai/docs/api), the client is
the official Python client, an example is one of the API reference. A correction of something that is not in the
document (any more) is an error, so that a newer document is not changed by what was wrong with an older one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Schema = dict[str, Any]

ID: Schema = {"type": ["string", "integer"], "format": "id"}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
TEXTS: Schema = {"type": "array", "items": TEXT}
SIZE: Schema = {"type": "integer", "minimum": 0}
OPEN: Schema = {"type": "object"}
METADATA: Schema = {"type": "object", "additionalProperties": TEXTS}
COUNT_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0, "maximum": 500}
FIELD_TYPES = ("boolean", "string", "integer", "float", "url", "file", "coordinates", "json")


class Correction(NamedTuple):
    """
    One thing that is put right.

    :param kinds: Which configurations have it.
    :param path: The keys that lead to it in a configuration; ``*`` is any element of a list and any field.
    :param was: What the document says, of the keywords that matter; None if it says nothing.
    :param now: The keywords that are put in their place; None takes a keyword away.
    :param reason: Why it is wrong.
    """

    kinds: tuple[str, ...]
    path: str
    was: Schema | None
    now: dict[str, Any]
    reason: str


ALL, PROJECT, POOL, TRAINING = ("project", "pool", "training"), ("project",), ("pool",), ("training",)
WITH_RULES = ("project", "pool")

_RULE = "quality_control.configs.*"
_FIELDS = ("task_spec.input_spec", "task_spec.output_spec")
_INTERVALS = "task_distribution_function.intervals.*"
_CHECKPOINTS = tuple(f"quality_control.checkpoints_config.{kind}_settings" for kind in ("real", "golden", "training"))
_FUNCTIONS = tuple(f"mixer_config.{kind}_task_distribution_function" for kind in ("golden", "training"))
_ANSWERS = "official examples, and ids given as numbers in them (pool_long: the key of a filter)"

CORRECTIONS: list[Correction] = [
    # -- all ---------------------------------------------------------------------------------------------------------
    Correction(ALL, "metadata", {"type": "object"}, METADATA, "the page and the client: lists of text, by name"),
    Correction(ALL, "id", {"type": "string"}, ID, _ANSWERS),
    Correction(("pool", "training"), "project_id", {"type": "string"}, ID, _ANSWERS),
    # -- rules of quality control ------------------------------------------------------------------------------------
    Correction(
        WITH_RULES,
        f"{_RULE}.collector_config",
        {"required": ["type", "uuid", "parameters"]},
        {"required": ["type"]},
        "the examples of projects have neither uuid nor parameters, and new rules have no uuid yet",
    ),
    Correction(
        WITH_RULES,
        f"{_RULE}.collector_config.type",
        None,
        {"enum": None},
        "CAPTCHA is missing, which the quick start uses; checks/rules.py knows the collectors",
    ),
    Correction(
        WITH_RULES,
        f"{_RULE}.collector_config.parameters",
        {"additionalProperties": False},
        {"properties": None, "additionalProperties": None},
        "they go by the type; checks/rules.py knows them",
    ),
    Correction(
        WITH_RULES,
        f"{_RULE}.rules.*.action",
        {"required": ["parameters", "type"]},
        {"required": ["type"]},
        "the client sends APPROVE_ALL_ASSIGNMENTS without parameters, as it has none",
    ),
    Correction(WITH_RULES, f"{_RULE}.rules.*.action.type", None, {"enum": None}, "checks/rules.py knows the actions"),
    Correction(
        WITH_RULES,
        f"{_RULE}.rules.*.action.parameters",
        {"required": ["scope"]},
        {"properties": None, "additionalProperties": None, "required": None},
        "they go by the type, and only restrictions have a scope (examples goldenset, restore-task-overlap)",
    ),
    Correction(
        WITH_RULES,
        f"{_RULE}.rules.*.conditions.*.value",
        {"type": "object"},
        {"type": ["number", "string", "boolean"]},
        "no example has an object; checks/rules.py knows the type by the key",
    ),
    # -- projects ----------------------------------------------------------------------------------------------------
    Correction(
        PROJECT,
        "",
        {"required": ["assignments_issuing_type", "public_name", "task_spec"]},
        {"required": ["public_name", "public_description", "task_spec", "assignments_issuing_type"]},
        "the page: public_description is required, and the API refuses a project without",
    ),
    Correction(PROJECT, "traits_config", None, OPEN, "the client"),
    Correction(PROJECT, "max_active_assignments_count", {"type": "integer"}, {"minimum": 1}, "nobody could work"),
    *(
        Correction(
            PROJECT,
            fields,
            {"required": ["<ID>"]},
            {"required": None, "additionalProperties": ("properties", "<ID>"), "properties": None},
            "<ID> stands for any name",
        )
        for fields in _FIELDS
    ),
    *(
        Correction(
            PROJECT,
            f"{fields}.*.type",
            {"type": "string"},
            {"enum": [case for name in FIELD_TYPES for case in (name, f"array_{name}")] + ["URL"]},
            "the page has the types, the client their arrays, and examples write URL in capitals",
        )
        for fields in _FIELDS
    ),
    *(
        Correction(
            PROJECT,
            f"{fields}.*.allowed_values",
            None,
            {"oneOf": None, "type": "array", "items": {"type": ["string", "number", "boolean"]}},
            "the client has booleans, too; checks/relations.py holds them against the type of the field",
        )
        for fields in _FIELDS
    ),
    *(
        Correction(PROJECT, f"{fields}.*.{name}", was, now, reason)
        for fields in _FIELDS
        for name, was, now, reason in (
            ("min_length", {"type": "integer"}, SIZE, "a length is not negative"),
            ("max_length", {"type": "integer"}, SIZE, "a length is not negative"),
            ("min_size", None, SIZE, "the client, of arrays"),
            ("max_size", None, SIZE, "the client, of arrays"),
            ("pattern", None, TEXT, "the client, of text"),
        )
    ),
    Correction(
        PROJECT,
        "task_spec.output_spec.*.current_location",
        {"type": "string"},
        {"type": ["boolean", "string"], "enum": [True, False, "true", "false"]},
        "the client has a boolean, the page true and false as text",
    ),
    Correction(
        PROJECT,
        "task_spec.view_spec",
        {"required": ["settings"]},
        {"required": None},
        "the client leaves them out if none is given, and the defaults hold",
    ),
    Correction(
        PROJECT,
        "task_spec.view_spec.config",
        {"type": "array"},
        {"type": "string", "items": None},
        "the examples and the client: JSON as text",
    ),
    Correction(PROJECT, "task_spec.view_spec.type", {"type": "string"}, {"enum": ["classic", "tb"]}, "the page"),
    Correction(PROJECT, "task_spec.view_spec.inferDataSpec", None, FLAG, "the client"),
    Correction(PROJECT, "task_spec.view_spec.lock", {"type": "object"}, {"additionalProperties": TEXT}, "examples"),
    Correction(
        PROJECT,
        "task_spec.view_spec.localizationConfig.keys",
        {"type": "string"},
        {"type": ["string", "array"]},
        "the example of the page has a list",
    ),
    Correction(
        PROJECT,
        "task_spec.view_spec.settings.permissions",
        None,
        {"type": "array"},
        "the example template_builder has an empty list",
    ),
    # -- pools -------------------------------------------------------------------------------------------------------
    Correction(POOL, "filter", {"type": "string"}, OPEN, "all examples have an object; checks/filters.py knows it"),
    Correction(POOL, "training_config.training_skill_ttl_days", {"type": "integer"}, {"minimum": 1}, "days to come"),
    Correction(
        POOL,
        "defaults.default_overlap_for_new_task_suites",
        {"minimum": 1},
        {"minimum": 0},
        "a recipe of the documentation sends 0 where only single tasks are uploaded",
    ),
    Correction(
        POOL,
        "dynamic_pricing_config",
        {"required": ["intervals", "type"]},
        {"required": ["type", "skill_id", "intervals"]},
        "the page: a skill is required",
    ),
    Correction(POOL, "dynamic_pricing_config.skill_id", {"type": "string"}, ID, _ANSWERS),
    Correction(
        POOL,
        "dynamic_pricing_config.intervals.*",
        None,
        {"required": ["reward_per_assignment"]},
        "the page: a price is required; the bounds have defaults",
    ),
    Correction(
        POOL,
        "dynamic_pricing_config.intervals.*.reward_per_assignment",
        {"type": "number"},
        {"minimum": 0},
        "it is a price (R calls it int32, and its example is 0.03)",
    ),
    *(
        Correction(
            POOL,
            f"dynamic_pricing_config.intervals.*.{bound}",
            {"maximum": 1000000},
            {"maximum": 100},
            "the page: from 0 to 100, as a skill",
        )
        for bound in ("from", "to")
    ),
    Correction(POOL, "dynamic_overlap_config.answer_weight_skill_id", {"type": "string"}, ID, _ANSWERS),
    Correction(POOL, "dynamic_overlap_config.fields", {"type": "array"}, {"minItems": 1}, "it aggregates by them"),
    Correction(
        POOL, "dynamic_overlap_config.fields.*.name", {"type": "string"}, {"minLength": 1}, "it names an output field"
    ),
    Correction(POOL, "quality_control.training_requirement.training_pool_id", {"type": "string"}, ID, _ANSWERS),
    *(
        Correction(
            POOL,
            f"mixer_config.min_{kind}_tasks_count",
            {"type": "integer"},
            COUNT_OR_NULL,
            "the page: null where a distribution function is used",
        )
        for kind in ("real", "golden", "training")
    ),
    *(
        Correction(POOL, f"{function}.intervals.*", None, {"required": ["frequency"]}, "the page: it is required")
        for function in _FUNCTIONS
    ),
    *(
        Correction(POOL, f"{settings}.{_INTERVALS}", None, {"required": ["frequency"]}, "the page: it is required")
        for settings in _CHECKPOINTS
    ),
    Correction(
        POOL,
        "speed_quality_balance",
        None,
        {"required": ["type"]},
        "the type says which of the others counts; checks/rules.py knows which",
    ),
]
