"""The task interface of a project, as far as it is looked at: nobody sees it here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from toloka_airflow.emulator.forms.schema import KINDS, REQUIRED
from toloka_airflow.emulator.world.errors import Problems, problem

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json

TYPES = ("classic", "tb")


def check_view_spec(told: Json, at: str) -> Problems:
    """Return what is wrong with it: the components of Template Builder are JSON as text, not an object."""
    kind, config = told.get("type"), told.get("config")
    if kind is not None and kind not in TYPES:
        return {f"{at}.type": problem("UNKNOWN_ENUM_VALUE", f"Value must be one of {', '.join(TYPES)}")}
    if config is None:
        return {f"{at}.config": REQUIRED} if kind == "tb" else {}
    if not isinstance(config, str):
        _, code, message = KINDS["string"]
        return {f"{at}.config": problem(code, f"{message} with JSON in it")}
    try:
        json.loads(config)
    except (ValueError, RecursionError):
        return {f"{at}.config": problem("INVALID_VALUE", "Value must be JSON as text")}
    return {}
