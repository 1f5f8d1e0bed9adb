"""The table of all calls: of every noun the routes, what the document tells of them, and its schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.resources import (
    analytics,
    assignments,
    attachments,
    message_threads,
    operations,
    projects,
    requester,
    skills,
    solutions,
    suites,
    tasks,
    user_bonuses,
    user_metadata,
    user_restrictions,
    user_skills,
    webhooks,
)
from toloka_airflow.emulator.resources.pools import calls as pools

if TYPE_CHECKING:
    from toloka_airflow.emulator.calls.describing import Descriptions
    from toloka_airflow.emulator.calls.handling import Routes
    from toloka_airflow.emulator.world.entities import Json

# Modules with ROUTES, DESCRIPTIONS and SCHEMAS.
NOUNS = (
    requester,
    projects,
    pools,
    tasks,
    suites,
    operations,
    assignments,
    attachments,
    solutions,
    skills,
    user_skills,
    user_restrictions,
    user_bonuses,
    user_metadata,
    message_threads,
    webhooks,
)

HANDLERS: Routes = {route: handler for noun in NOUNS for route, handler in noun.ROUTES.items()}
DESCRIPTIONS: Descriptions = analytics.DESCRIPTIONS | {
    route: description for noun in NOUNS for route, description in noun.DESCRIPTIONS.items()
}
SCHEMAS: Json = {name: schema for noun in NOUNS for name, schema in noun.SCHEMAS.items()}

# Outside of the prefix of all the others.
STAGING_HANDLERS: Routes = analytics.ROUTES
