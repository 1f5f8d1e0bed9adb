"""The fields of the bodies that clients send."""

from __future__ import annotations

from dataclasses import replace

from toloka_airflow.emulator.schema import Field, Form

OVERLAP_MAX = 30_000
DURATION_MAX = 2_147_483_647

TEXT = Field("string")
FLAG = Field("boolean")
ID = Field("id")
OBJECT = Field("object")
COUNT = Field("integer", minimum=0, maximum=500)
# Sent back by clients that read, change and write an object; the API ignores them.
READ_ONLY = Field("any", ignored=True)


def must(field: Field) -> Field:
    """Return the field as a required one."""
    return replace(field, required=True)


SPEC: Form = {
    "type": must(TEXT),
    "required": FLAG,
    "hidden": FLAG,
    "min_value": Field("number"),
    "max_value": Field("number"),
    "min_length": Field("integer", minimum=0),
    "max_length": Field("integer", minimum=0),
    "allowed_values": Field("array"),
    "min_size": Field("integer", minimum=0),
    "max_size": Field("integer", minimum=0),
    "current_location": FLAG,
    "pattern": TEXT,
}
SPECS = Field("object", required=True, each=Field("object", fields=SPEC))

TASK_SPEC: Form = {"input_spec": SPECS, "output_spec": SPECS, "view_spec": OBJECT}

PROJECT: Form = {
    "public_name": must(TEXT),
    "public_description": must(TEXT),
    "public_instructions": TEXT,
    "private_comment": TEXT,
    "task_spec": Field("object", required=True, fields=TASK_SPEC),
    "assignments_issuing_type": Field("string", required=True, choices=("AUTOMATED", "MAP_SELECTOR")),
    "assignments_issuing_view_config": OBJECT,
    "assignments_automerge_enabled": FLAG,
    "max_active_assignments_count": Field("integer", minimum=1),
    "quality_control": OBJECT,
    "localization_config": OBJECT,
    "metadata": OBJECT,
    "sensitive": FLAG,
    "traits_config": OBJECT,
    "id": READ_ONLY,
    "owner": READ_ONLY,
    "status": READ_ONLY,
    "created": READ_ONLY,
}

MIXER: Form = {
    "real_tasks_count": must(COUNT),
    "golden_tasks_count": must(COUNT),
    "training_tasks_count": must(COUNT),
    "min_real_tasks_count": COUNT,
    "min_golden_tasks_count": COUNT,
    "min_training_tasks_count": COUNT,
    "force_last_assignment": FLAG,
    "force_last_assignment_delay_seconds": Field("integer", minimum=0, maximum=86_400),
    "mix_tasks_in_creation_order": FLAG,
    "shuffle_tasks_in_task_suite": FLAG,
    "golden_task_distribution_function": OBJECT,
    "training_task_distribution_function": OBJECT,
}

DEFAULTS: Form = {
    # 0 is what the documentation's own recipe sends when only single tasks are used.
    "default_overlap_for_new_task_suites": Field("integer", required=True, minimum=0, maximum=OVERLAP_MAX),
    "default_overlap_for_new_tasks": Field("integer", minimum=1, maximum=OVERLAP_MAX),
}

QUALITY_CONTROL: Form = {
    "training_requirement": Field(
        "object",
        fields={
            "training_pool_id": must(ID),
            "training_passing_skill_value": Field("integer", required=True, minimum=0, maximum=100),
        },
    ),
    "captcha_frequency": Field("string", choices=("LOW", "MEDIUM", "HIGH")),
    "configs": Field("array", each=OBJECT),
    "checkpoints_config": OBJECT,
}

POOL: Form = {
    "project_id": must(ID),
    "private_name": must(TEXT),
    "private_comment": TEXT,
    "public_description": TEXT,
    "public_instructions": TEXT,
    "may_contain_adult_content": FLAG,
    "will_expire": Field("date", required=True),
    "auto_close_after_complete_delay_seconds": Field("integer", minimum=0, maximum=259_200),
    "reward_per_assignment": Field("number", required=True, minimum=0),
    "dynamic_pricing_config": OBJECT,
    "assignment_max_duration_seconds": Field("integer", required=True, minimum=5, maximum=DURATION_MAX),
    "auto_accept_solutions": FLAG,
    "auto_accept_period_day": Field("integer", minimum=1, maximum=21),
    "assignments_issuing_config": OBJECT,
    "priority": Field("integer", minimum=0, maximum=100),
    "filter": OBJECT,
    "quality_control": Field("object", fields=QUALITY_CONTROL),
    "speed_quality_balance": OBJECT,
    "dynamic_overlap_config": OBJECT,
    "mixer_config": Field("object", fields=MIXER),
    "training_config": OBJECT,
    "training": FLAG,
    "defaults": Field("object", required=True, fields=DEFAULTS),
    "metadata": OBJECT,
    "id": READ_ONLY,
    "owner": READ_ONLY,
    "type": READ_ONLY,
    "status": READ_ONLY,
    "last_close_reason": READ_ONLY,
    "created": READ_ONLY,
    "last_started": READ_ONLY,
    "last_stopped": READ_ONLY,
}

POOL_PATCH: Form = {"priority": POOL["priority"]}

TRAINING: Form = {
    "project_id": must(ID),
    "private_name": must(TEXT),
    "private_comment": TEXT,
    "inherited_instructions": must(FLAG),
    "public_instructions": TEXT,
    "may_contain_adult_content": FLAG,
    "assignment_max_duration_seconds": Field("integer", minimum=5, maximum=DURATION_MAX),
    "mix_tasks_in_creation_order": FLAG,
    "shuffle_tasks_in_task_suite": FLAG,
    "training_tasks_in_task_suite_count": must(COUNT),
    "task_suites_required_to_pass": COUNT,
    "retry_training_after_days": Field("integer", minimum=1),
    "metadata": OBJECT,
    "id": READ_ONLY,
    "owner": READ_ONLY,
    "status": READ_ONLY,
    "last_close_reason": READ_ONLY,
    "created": READ_ONLY,
    "last_started": READ_ONLY,
    "last_stopped": READ_ONLY,
}

WEIGHT = Field("number", minimum=0, maximum=1)
STRINGS = Field("array", each=TEXT)

TASK: Form = {
    "pool_id": must(ID),
    "input_values": must(OBJECT),
    "known_solutions": Field(
        "array", each=Field("object", fields={"output_values": must(OBJECT), "correctness_weight": WEIGHT})
    ),
    "message_on_unknown_solution": TEXT,
    "baseline_solutions": Field(
        "array", each=Field("object", fields={"output_values": must(OBJECT), "confidence_weight": WEIGHT})
    ),
    "overlap": Field("integer", minimum=1, maximum=OVERLAP_MAX),
    "infinite_overlap": FLAG,
    "reserved_for": STRINGS,
    "unavailable_for": STRINGS,
    "localization_config": OBJECT,
    "traits_all_of": STRINGS,
    "traits_any_of": STRINGS,
    "traits_none_of_any": STRINGS,
    "id": READ_ONLY,
    "created": READ_ONLY,
    "origin_task_id": READ_ONLY,
    "remaining_overlap": READ_ONLY,
}

ASSIGNMENT_PATCH: Form = {
    "status": Field("string", choices=("ACCEPTED", "REJECTED")),
    "public_comment": TEXT,
}

AGGREGATION: Form = {
    "type": Field("string", required=True, choices=("WEIGHTED_DYNAMIC_OVERLAP", "DAWID_SKENE")),
    "pool_id": must(ID),
    "task_id": ID,
    "answer_weight_skill_id": ID,
    "fields": Field("array", required=True, each=Field("object", fields={"name": must(TEXT)})),
}
