"""The table of all calls: of every noun the routes, what the document tells of them, and its schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.resources import (
    analytics,
    assignments,
    operations,
    projects,
    requester,
    solutions,
    suites,
    tasks,
    webhooks,
)
from toloka_airflow.emulator.resources.pools import calls as pools

if TYPE_CHECKING:
    from toloka_airflow.emulator.calls.describing import Descriptions
    from toloka_airflow.emulator.calls.handling import Routes
    from toloka_airflow.emulator.world.entities import Json

# Modules with ROUTES, DESCRIPTIONS and SCHEMAS.
NOUNS = (requester, projects, pools, tasks, suites, operations, assignments, solutions, webhooks)

HANDLERS: Routes = {route: handler for noun in NOUNS for route, handler in noun.ROUTES.items()}
DESCRIPTIONS: Descriptions = analytics.DESCRIPTIONS | {
    route: description for noun in NOUNS for route, description in noun.DESCRIPTIONS.items()
}
SCHEMAS: Json = {name: schema for noun in NOUNS for name, schema in noun.SCHEMAS.items()}

# Outside of the prefix of all the others.
STAGING_HANDLERS: Routes = analytics.ROUTES

# Documented, but not modelled: answered with 501 instead of pretending that there is no such call.
NOT_EMULATED: dict[str, tuple[str, ...]] = {
    "/api/v1/attachments": ("GET",),
    "/api/v1/attachments/{id}": ("GET",),
    "/api/v1/attachments/{id}/download": ("GET",),
    "/api/v1/message-threads": ("GET",),
    "/api/v1/message-threads/compose": ("POST",),
    "/api/v1/message-threads/{id}/reply": ("POST",),
    "/api/v1/message-threads/{id}/add-to-folders": ("POST",),
    "/api/v1/message-threads/{id}/remove-from-folders": ("POST",),
    "/api/v1/skills": ("GET", "POST"),
    "/api/v1/skills/{id}": ("GET", "PUT"),
    "/api/v1/user-bonuses": ("GET", "POST"),
    "/api/v1/user-bonuses/{id}": ("GET",),
    "/api/v1/user-metadata/{id}": ("GET",),
    "/api/v1/user-restrictions": ("GET", "PUT"),
    "/api/v1/user-restrictions/{id}": ("GET", "DELETE"),
    "/api/v1/user-skills": ("GET", "PUT"),
    "/api/v1/user-skills/{id}": ("GET", "DELETE"),
}
