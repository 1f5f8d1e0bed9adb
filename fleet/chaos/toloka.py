"""The local Toloka of the fleet: what it is steered with, and what it wrote down."""

from __future__ import annotations

from typing import Any

import requests

API = "/api/v1"
GETS = ("projects", "pools", "pools/{id}", "trainings/{id}", "operations", "operations/{id}", "operations/{id}/log",
        "assignments", "aggregated-solutions/{id}", "requester", "user-bonuses")  # fmt: skip
POSTS = ("projects", "pools", "trainings", "tasks", "pools/{id}/open", "pools/{id}/close", "pools/{id}/archive",
         "trainings/{id}/open", "trainings/{id}/close", "trainings/{id}/archive", "projects/{id}/archive",
         "aggregated-solutions/aggregate-by-pool", "user-bonuses")  # fmt: skip
PATCHES = ("pools/{id}", "assignments/{id}")
CALLS = [
    *(("GET", path) for path in GETS),
    *(("POST", path) for path in POSTS),
    *(("PATCH", path) for path in PATCHES),
]
FAULTS: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 429, "code": "TOO_MANY_REQUESTS", "retry_after": 1},
    {"html": 502},
    {"drop": True},
    {"lost_answer": True},
    {"half_body": True},
    {"delay": 2},
]
TIMEOUT = 60
Json = dict[str, Any]


class Toloka:
    """Steer an emulator by its address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def begin(self) -> None:
        """Have people work so fast that a pool is open for a minute or two."""
        self._steer("PATCH", "crowd", {"size": 200, "seconds_per_task": [1, 4]})

    def now(self) -> str:
        """Return what its clock shows."""
        now: str = self._steer("GET", "clock")["now"]
        return now

    def step(self, seconds: float) -> None:
        """Put its clock forward."""
        self._steer("PATCH", "clock", {"advance": seconds})

    def set_speed(self, speed: float) -> None:
        """Have its clock run faster or slower than ours."""
        self._steer("PATCH", "clock", {"speed": speed})

    def accept(self, *tokens: str) -> None:
        """Have it refuse all other tokens."""
        self._steer("PUT", "tokens", list(tokens))

    def break_calls(self, share: float) -> None:
        """Have a share of all calls go wrong, in each way as often as in the others."""
        for method, path in CALLS:
            for fault in FAULTS:
                body = {"method": method, "path": f"{API}/{path}", "probability": share / len(FAULTS), **fault}
                self._steer("POST", "faults", body)

    def mend_calls(self) -> None:
        """Have all calls go well."""
        self._steer("DELETE", "faults")

    def journal(self, after: int) -> tuple[list[Json], int]:
        """Return what was written down after an entry, and the number of the last one."""
        page = self._steer("GET", f"journal?after={after}")
        return page["items"], page["last"]

    def _steer(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"}
        url = f"{self.url}/_emulator/{path}"
        answer = self._session.request(method, url, json=body, headers=headers, timeout=TIMEOUT)
        answer.raise_for_status()
        return answer.json() if answer.content else None
