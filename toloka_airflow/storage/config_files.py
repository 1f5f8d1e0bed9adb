"""Configurations of projects, pools and trainings in JSON and YAML files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toloka_airflow.storage.lineage import report_read
from toloka_airflow.storage.paths import NO_SUCH_FILE, local_path, storage_path

if TYPE_CHECKING:
    import os

    from airflow.sdk import ObjectStoragePath

SUFFIXES = (".json", ".yaml", ".yml")


def read_config(name: str, source: Mapping[str, Any] | str | os.PathLike[str] | ObjectStoragePath) -> dict[str, Any]:
    """
    Return a configuration that is given as a mapping, or as the path of a JSON or YAML file with one.

    YAML is read by the rules of version 1.2, so that it says what the same JSON would: ``yes`` and ``2030-01-01`` are
    text. What JSON cannot say, such as a date or a key that is there twice, is refused.

    :param name: The argument to name in an error.
    :raises ValueError: If there is no such file or no such content in it, with the file and the line.
    """
    if isinstance(source, Mapping):
        return dict(source)
    if source is None or not str(source):
        raise ValueError(f"{name} is {source!r}; it must be a dict, or the path of a JSON or YAML file")
    config, _, _ = _read(name, source)
    report_read(storage_path(name, source))
    return config


def read_config_with_lines(
    name: str, source: str | os.PathLike[str] | ObjectStoragePath
) -> tuple[dict[str, Any], dict[tuple[str | int, ...], int]]:
    """
    Return the configuration of a file, and the line, from 1, of each value in it, by the keys that lead to it.

    The line is that of the key, or of the value in a list. What YAML merges in (``<<``) has the line where it is
    written; a value in a list that is an alias has the line of the anchor.

    Unlike `read_config`, it does not report to Airflow's lineage that the file is read.

    :param name: The argument to name in an error.
    :raises ValueError: As by `read_config`.
    """
    config, text, is_json = _read(name, source)
    return config, dict(_json_lines(text) if is_json else _yaml_lines(text))


def _read(name: str, source: Any) -> tuple[dict[str, Any], str, bool]:
    """Return the configuration of a file, its text, and whether it is JSON."""
    suffix = str(source)[str(source).rfind(".") :].lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{name} is {str(source)!r}; the name of the file must end in {', '.join(SUFFIXES)}")
    text, is_json = _text(name, source), suffix == ".json"
    config = _parsed(f"{name}: {source}", text, is_json=is_json)
    if config is None:
        raise ValueError(f"{name}: {source} is empty; it must hold an object with fields")
    if not isinstance(config, dict):
        raise ValueError(f"{name}: {source} holds a {type(config).__name__}, not an object with fields")
    return config, text, is_json


def _text(name: str, source: Any) -> str:
    # Without Airflow, whose import takes a second, where it is not needed.
    path = local_path(source) or storage_path(name, source)
    try:
        return path.read_bytes().decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise ValueError(f"{name} is {str(source)!r}, {NO_SUCH_FILE}") from None
    except UnicodeDecodeError as exc:
        raise ValueError(f"{name}: {source} is not UTF-8: {exc}") from None


def _parsed(what: str, text: str, *, is_json: bool) -> Any:
    kind = "JSON" if is_json else "YAML"
    try:
        return _from_json(what, text) if is_json else _from_yaml(what, text)
    except RecursionError:
        raise ValueError(f"{what}: no {kind} that can be read: it is nested too deep") from None


def _from_json(what: str, text: str) -> Any:
    try:
        json.loads(text, parse_int=str)  # its numbers are checked below, where the line is known
        _check_json(text)
    except json.JSONDecodeError as exc:
        raise ValueError(f"{what}, line {exc.lineno}: no JSON: {exc.msg}") from None
    return json.loads(text)


_TOKENS = re.compile(r'(?P<text>"(?:[^"\\]|\\.)*")(?P<key>\s*:)?|(?P<bracket>[\[\]{}])|(?P<word>[^\s\[\]{}:,"]+)')


def _check_json(text: str) -> None:
    """
    Check what the parser lets pass.

    :raises json.JSONDecodeError: For a key that is there twice in one object, and a number that JSON does not have.
    """
    keys: list[set[str]] = []
    for token in _TOKENS.finditer(text):
        try:
            if token["key"]:
                _add_key(keys[-1], json.loads(token["text"]))
            elif token["bracket"] in ("{", "["):
                keys.append(set())
            elif token["bracket"]:
                keys.pop()
            elif token["word"] not in (None, "true", "false", "null"):
                (int if re.fullmatch(r"-?[0-9]+", token["word"]) else _float)(token["word"])
        except ValueError as exc:
            raise json.JSONDecodeError(str(exc), text, token.start()) from None


def _json_lines(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Yield the line of each value in valid JSON."""
    path: list[str | int] = []
    line, counted = 1, 0
    in_list: list[bool] = []
    for token in _TOKENS.finditer(text):
        line, counted = line + text.count("\n", counted, token.start()), token.start()
        if token["key"]:
            path[-1] = json.loads(token["text"])
            yield tuple(path), line
            continue
        if token["bracket"] in ("]", "}"):
            path.pop()
            in_list.pop()
            continue
        if in_list and in_list[-1]:
            path[-1] = int(path[-1]) + 1
            yield tuple(path), line
        if token["bracket"]:
            in_list.append(token["bracket"] == "[")
            path.append(-1)


def _yaml_lines(text: str) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Yield the line of each value in valid YAML."""
    import yaml

    loader = _yaml_1_2()(text)
    try:
        root = loader.get_single_node()
    finally:
        loader.dispose()

    def lines(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], int]]:
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                yield (*path, index), item.start_mark.line + 1
                yield from lines(item, (*path, index))
        elif isinstance(node, yaml.MappingNode):
            # What is merged in comes first, as a key may replace one of them.
            for key, value in sorted(node.value, key=lambda pair: pair[0].tag != f"{_TAGS}merge"):
                if key.tag == f"{_TAGS}merge":
                    for part in reversed(value.value) if isinstance(value, yaml.SequenceNode) else (value,):
                        yield from lines(part, path)
                else:
                    yield (*path, key.value), key.start_mark.line + 1
                    yield from lines(value, (*path, key.value))

    yield from lines(root, ())


def _add_key(keys: set[Any], key: Any) -> None:
    if key in keys:
        raise ValueError(f"{key!r} is there twice in one object")
    keys.add(key)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number that JSON has")
    return number


_TAGS = "tag:yaml.org,2002:"
_NUMBERS: dict[str, Callable[[str], float]] = {f"{_TAGS}int": int, f"{_TAGS}float": _float}


def _from_yaml(what: str, text: str) -> Any:
    import yaml

    try:
        return yaml.load(text, _yaml_1_2())  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as exc:
        line = f", line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        # There are two marks and two texts where one does not say enough by itself.
        problem = f"{exc.context}, {exc.problem}" if str(exc.problem).startswith("but ") else exc.problem
        raise ValueError(f"{what}{line}: no YAML: {problem}") from None
    except yaml.YAMLError as exc:
        raise ValueError(f"{what}: no YAML: {exc}") from None


def _yaml_1_2() -> Any:
    """Return a loader with the core schema of YAML 1.2; PyYAML itself follows 1.1, and knows more than JSON."""
    import yaml

    def construct(loader: Any, node: Any) -> Any:
        """Return a scalar or an object; what is wrong with it, with its line."""
        mark = node.start_mark
        try:
            if isinstance(node, yaml.MappingNode):
                # Before those that are merged in, as a key may replace one of them.
                keys: set[Any] = set()
                for key, _ in node.value:
                    if key.tag != f"{_TAGS}merge":
                        mark = key.start_mark
                        if isinstance(key, yaml.ScalarNode):
                            key.tag = f"{_TAGS}str"  # as in JSON, also of 1 and true, which Python takes for the same
                        _add_key(keys, loader.construct_object(key, deep=True))
                return loader.construct_mapping(node, deep=True)
            return _NUMBERS[node.tag](node.value)
        except (ValueError, TypeError) as exc:
            raise yaml.constructor.ConstructorError(None, None, str(exc), mark) from None

    known: dict[str | None, Any] = yaml.SafeLoader.yaml_constructors
    # Without those of dates, sets and bytes; the one for ``None`` refuses whatever is not here.
    constructors = {tag: known[tag] for tag in (None, *(f"{_TAGS}{name}" for name in ("str", "bool", "null", "seq")))}
    for name in ("int", "float", "map"):
        constructors[f"{_TAGS}{name}"] = construct
    loader: Any = type("Loader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}, "yaml_constructors": constructors})
    for tag, pattern, first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("int", r"[-+]?[0-9]+", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
        ("merge", "<<", "<"),
    ):
        loader.add_implicit_resolver(f"{_TAGS}{tag}", re.compile(f"(?:{pattern})$"), list(first))
    return loader
