"""Configurations of projects, pools and trainings in JSON and YAML files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from airflow.sdk import ObjectStoragePath

SUFFIXES = (".json", ".yaml", ".yml")


def read_config(name: str, source: Mapping[str, Any] | str | os.PathLike[str] | ObjectStoragePath) -> dict[str, Any]:
    """
    Return a configuration that is given as a mapping, or as the path of a JSON or YAML file with one.

    YAML is read by the rules of version 1.2, so that it says what the same JSON would: ``yes`` and ``2030-01-01`` are
    text.

    :param name: The argument to name in an error.
    :raises ValueError: If there is no such file or no such content in it, with the file and the line.
    """
    if isinstance(source, Mapping):
        return dict(source)
    if source is None or not str(source):
        raise ValueError(f"{name} is {source!r}; it must be a dict, or the path of a JSON or YAML file")
    suffix = str(source)[str(source).rfind(".") :].lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{name} is {str(source)!r}; the name of the file must end in {', '.join(SUFFIXES)}")
    config = _parsed(f"{name}: {source}", _text(name, source), is_json=suffix == ".json")
    if not isinstance(config, dict):
        raise ValueError(f"{name}: {source} holds a {type(config).__name__}, not an object with fields")
    return config


def _text(name: str, source: Any) -> str:
    from airflow.sdk import ObjectStoragePath

    path = source if isinstance(source, ObjectStoragePath) else ObjectStoragePath(str(source))
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise ValueError(f"{name} is {str(source)!r}: there is no such file") from None
    except UnicodeDecodeError as exc:
        raise ValueError(f"{name}: {source} is not UTF-8: {exc}") from None


def _parsed(what: str, text: str, *, is_json: bool) -> Any:
    import yaml

    try:
        return json.loads(text) if is_json else yaml.load(text, _yaml_1_2())  # noqa: S506 - a SafeLoader
    except json.JSONDecodeError as exc:
        raise ValueError(f"{what}, line {exc.lineno}: no JSON: {exc.msg}") from None
    except yaml.MarkedYAMLError as exc:
        line = f", line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        raise ValueError(f"{what}{line}: no YAML: {exc.problem}") from None
    except yaml.YAMLError as exc:
        raise ValueError(f"{what}: no YAML: {exc}") from None


def _yaml_1_2() -> Any:
    """Return a loader with the core schema of YAML 1.2; PyYAML itself follows 1.1."""
    import re

    import yaml

    loader: Any = type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}})
    for tag, pattern, first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("int", r"[-+]?[0-9]+", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
        ("merge", "<<", "<"),
    ):
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"(?:{pattern})$"), list(first))
    loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
    loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))
    return loader
