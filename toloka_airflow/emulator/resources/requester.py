"""The requester, whose money it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toloka_airflow.emulator.calls import describing
from toloka_airflow.emulator.calls.describing import Description, Descriptions, closed, ref
from toloka_airflow.emulator.calls.handling import Answer, Call, Routes

if TYPE_CHECKING:
    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.world import World


def _get_requester(world: World, call: Call) -> Answer:
    body = {
        "id": world.requester_id,
        "balance": float(world.account.balance),
        "public_name": {"EN": "Emulator"},
    }
    return Answer(200, body)


ROUTES: Routes = {
    ("GET", "/requester"): _get_requester,
}

DESCRIPTIONS: Descriptions = {
    ("GET", "/requester"): Description({200: ref("Requester")}),
}

SCHEMAS: Json = {
    "Requester": closed(
        {
            "id": describing.TEXT,
            "balance": describing.NUMBER,
            "public_name": describing.ANY_OBJECT,
            "company": describing.ANY_OBJECT,
        },
        ("id",),
    ),
}
