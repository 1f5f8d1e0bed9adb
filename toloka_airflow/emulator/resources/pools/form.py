"""What may be said of a pool or a training."""

from __future__ import annotations

from toloka_airflow.emulator.forms.fields import (
    COUNT,
    DURATION_MAX,
    FIELD_NAMES,
    FLAG,
    ID,
    METADATA,
    OBJECT,
    OVERLAP_MAX,
    READ_ONLY,
    TEXT,
    must,
)
from toloka_airflow.emulator.forms.filters import check_filter
from toloka_airflow.emulator.forms.quality_control import CONFIGS
from toloka_airflow.emulator.forms.schema import Field, Form

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
    "configs": CONFIGS,
    "checkpoints_config": OBJECT,
}

DYNAMIC_OVERLAP: Form = {
    "type": Field("string", required=True, choices=("BASIC",)),
    "max_overlap": Field("integer", required=True, minimum=1, maximum=OVERLAP_MAX),
    "min_confidence": Field("number", required=True, minimum=0, maximum=1),
    "answer_weight_skill_id": must(ID),
    "fields": FIELD_NAMES,
}

DYNAMIC_PRICING: Form = {
    "type": Field("string", required=True, choices=("SKILL",)),
    "skill_id": ID,
    "intervals": Field(
        "array",
        required=True,
        each=Field("object", fields={"from": COUNT, "to": COUNT, "reward_per_assignment": Field("number", minimum=0)}),
    ),
}

SPEED_QUALITY: Form = {
    "type": Field("string", required=True, choices=("TOP_PERCENTAGE_BY_QUALITY", "BEST_CONCURRENT_USERS_BY_QUALITY")),
    "percent": Field("number", minimum=10, maximum=100),
    "count": Field("integer", minimum=0, maximum=100),
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
    "dynamic_pricing_config": Field("object", fields=DYNAMIC_PRICING),
    "assignment_max_duration_seconds": Field("integer", required=True, minimum=5, maximum=DURATION_MAX),
    "auto_accept_solutions": FLAG,
    "auto_accept_period_day": Field("integer", minimum=1, maximum=21),
    "assignments_issuing_config": Field("object", fields={"issue_task_suites_in_creation_order": FLAG}),
    "priority": Field("integer", minimum=0, maximum=100),
    "filter": Field("object", also=check_filter),
    "quality_control": Field("object", fields=QUALITY_CONTROL),
    "speed_quality_balance": Field("object", fields=SPEED_QUALITY),
    "dynamic_overlap_config": Field("object", fields=DYNAMIC_OVERLAP),
    "mixer_config": Field("object", fields=MIXER),
    "training_config": Field("object", fields={"training_skill_ttl_days": Field("integer", minimum=1)}),
    "training": FLAG,
    "defaults": Field("object", required=True, fields=DEFAULTS),
    "metadata": METADATA,
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
    "metadata": METADATA,
    "id": READ_ONLY,
    "owner": READ_ONLY,
    "status": READ_ONLY,
    "last_close_reason": READ_ONLY,
    "created": READ_ONLY,
    "last_started": READ_ONLY,
    "last_stopped": READ_ONLY,
}
