"""Templates of paths, as users name routes when they steer."""

from __future__ import annotations

import re


def pattern(path: str) -> re.Pattern[str]:
    """Return what a path has to match: `{id}` in the template stands for anything but a slash."""
    if not path.startswith("/"):
        raise ValueError(f"path must begin with a slash, got {path!r}")
    parts = re.split(r"\{[^/{}]+\}", path.rstrip("/"))
    return re.compile("[^/]+".join(map(re.escape, parts)))


def may_meet(path: str, route: str) -> bool:
    """Return whether a path, or a template of paths, stands for anything that a route serves."""
    steps, served = path.strip("/").split("/"), route.strip("/").split("/")
    return len(steps) == len(served) and all(
        word.startswith("{") or pattern(f"/{step}").fullmatch(f"/{word}")
        for step, word in zip(steps, served, strict=True)
    )
