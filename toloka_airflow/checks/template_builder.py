"""
The interface of a project that is made with Template Builder, held against the fields of the project.

Facts are those of Template Builder's own pages: "Working with data" (paths have dots; ``data.relative`` belongs to
``field.list``), "Creating specifications" (a path of several parts makes a field of JSON or a list), "Reuse code"
(``$ref``) and the page of each component. Where a component's page does not say what it writes, nothing is said of it.
That a reference that leads nowhere stops the interface is of its published source (``core/compileConfig``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toloka_airflow.checks.task_values import TYPES, value_check
from toloka_airflow.checks.template_components import COMPONENTS
from toloka_airflow.checks.values import is_unknown_yet, items
from toloka_airflow.checks.wording import did_you_mean, nearest, one_of, shown

if TYPE_CHECKING:
    from toloka_airflow.checks.documents import Document
    from toloka_airflow.checks.problems import Path, Problem

WARNINGS = {
    "template-component": "a component of Template Builder that this version does not know",
    "template-field": "a path of the interface that is no field of the project",
    "template-hidden": "hidden input is not there in the interface",
    "template-option": "an allowed value that no option of the interface gives",
    "template-optional": "a checkbox whose field is required has to be ticked",
    "template-unwritten": "a required field of the output that nothing in the interface writes",
}

CONFIG: Path = ("task_spec", "view_spec", "config")
_TEXT = ("string", "url", "coordinates", "json")
_FILE = ("file", "json")
_FILES = ("array_file", "json", "array_json")
_WRITES: dict[str, tuple[str, ...]] = {
    "field.checkbox": ("boolean", "json"),
    "field.checkbox-group": ("json",),
    "field.date": _TEXT,
    "field.email": _TEXT,
    "field.number": ("integer", "float", "json"),
    "field.phone-number": _TEXT,
    "field.quiz": ("json",),
    "field.text": _TEXT,
    "field.textarea": _TEXT,
}
"""The types of the fields that a component can write to, for those whose pages say what they return."""
_WITH_FILES = ("field.audio", "field.file", "field.media-file")
_WITH_OPTIONS = ("field.button-radio-group", "field.radio-group", "field.select")


@dataclass(frozen=True)
class _Component:
    """A component of the interface, its name without the maker's before it, and where it is."""

    type: str
    value: Mapping[str, Any]
    path: Path


def check_template(project: Document) -> Iterator[Problem]:
    """Iterate over what is wrong with the interface of a project; nothing if Template Builder did not make it."""
    if project.at("task_spec", "view_spec", "type") != "tb":
        return
    config = project.at(*CONFIG)
    if not project.file and is_unknown_yet(config):
        return
    if isinstance(config, str):
        try:
            config = json.loads(config)
        except json.JSONDecodeError as exc:
            where = f"{exc.msg}, line {exc.lineno}, column {exc.colno} of the text"
            yield project.problem(
                "template-config", CONFIG, f"the configuration of Template Builder is no JSON: {where}"
            )
            return
        except (ValueError, RecursionError) as exc:
            yield project.problem("template-config", CONFIG, f"the configuration of Template Builder is no JSON: {exc}")
            return
    if config is None or isinstance(config, list):
        return  # that it is missing, or of another kind, is said of the structure
    if not isinstance(config, Mapping) or not isinstance(config.get("view"), Mapping):
        message = 'the configuration of Template Builder is an object with the component "view"'
        yield project.problem("template-config", CONFIG, message)
        return
    yield from _Template(project, config).problems()


class _Template:
    """The components of an interface, and the fields of the project."""

    def __init__(self, project: Document, config: Mapping[str, Any]) -> None:
        self._project, self._config = project, config
        self._components = list(_components(config, ()))
        self._reported: set[tuple[str, str]] = set()
        self._specs = {
            side: {
                name: spec
                for name, spec in project.mapping("task_spec", f"{side}_spec").items()
                if isinstance(spec, Mapping)
            }
            for side in ("input", "output")
        }

    def problems(self) -> Iterator[Problem]:
        """Iterate over what is wrong."""
        for component in self._components:
            if component.type not in COMPONENTS:
                yield from self._unknown(component)
            elif component.type in ("data.input", "data.output"):
                yield from self._check_path(component, component.type.removeprefix("data."))
            elif component.type.startswith(("field.", "action.")):
                yield from self._check_writer(component)
        yield from self._check_references(self._config, ())
        yield from self._check_unwritten()
        yield from self._check_missing_options()

    def _problem(self, rule: str, path: Path, message: str, level: Any = "error") -> Problem:
        return self._project.problem(rule, (*CONFIG, *path), message, level)

    def _is_unknown_yet(self, value: Any) -> bool:
        return not self._project.file and is_unknown_yet(value)

    def _unknown(self, component: _Component) -> Iterator[Problem]:
        near = nearest(component.type, COMPONENTS)
        message = f"{shown(component.type)} is no component of Template Builder that is known{did_you_mean(near)}"
        yield self._problem("template-component", (*component.path, "type"), message, "error" if near else "warning")

    def _check_references(self, value: Any, path: Path) -> Iterator[Problem]:
        """Check that what is referred to is there; one that is not stops the whole interface."""
        if isinstance(value, list):
            for index, part in enumerate(value):
                yield from self._check_references(part, (*path, index))
        elif isinstance(value, Mapping):
            reference = value.get("$ref")
            if isinstance(reference, str) and "type" not in value and not self._is_unknown_yet(reference):
                if self._resolved(value) is None:
                    message = f"{shown(reference)} leads nowhere; it is keys and indexes from the top, with dots"
                    yield self._problem("template-ref", (*path, "$ref"), message)
                return
            for key, part in value.items():
                yield from self._check_references(part, (*path, key))

    def _check_path(self, component: _Component, side: str) -> Iterator[Problem]:
        """Check that what is read or written is a field."""
        name, rest = _field_of(component.value)
        if name is None or self._is_unknown_yet(component.value["path"]):
            return
        path, specs = (*component.path, "path"), self._specs[side]
        if name not in specs:
            if (side, name) in self._reported:
                return
            self._reported.add((side, name))
            near = nearest(name, specs)
            fields = f"its fields are {one_of(specs)}" if specs else "it has none"
            message = f"{name!r} is no field of {side}_spec, {fields}{did_you_mean(near)}"
            # What has a default is there without the field.
            is_certain = near and not (side == "input" and "default" in component.value)
            yield self._problem("template-field", path, message, "error" if is_certain else "warning")
            return
        kind = _type_of(specs[name])
        if rest and kind in ("boolean", "coordinates", "file", "float", "integer", "string", "url"):
            message = f"{'.'.join((name, *rest))!r} is a part of {name!r}, which is {kind} and has no parts"
            yield self._problem("template-type", path, message)
        if side == "input" and specs[name].get("hidden") is True:
            message = f"{name!r} is hidden in input_spec: hidden input is not there in the interface"
            yield self._problem("template-hidden", path, message, "warning")

    def _written_field(self, component: _Component) -> tuple[str, Mapping[str, Any]] | None:
        """Return the field that a component writes as a whole, and what the project says of it."""
        data = self._resolved(component.value.get("data"))
        if not isinstance(data, Mapping) or _bare(data.get("type")) != "data.output":
            return None
        name, rest = _field_of(data)
        spec = self._specs["output"].get(name or "")
        if name is None or rest or spec is None:
            return None
        if any(self._is_unknown_yet(value) for _, value in items(spec.get("allowed_values"))):
            return None
        return name, spec

    def _check_writer(self, component: _Component) -> Iterator[Problem]:
        """Check that what a component writes can be a value of its field."""
        written = self._written_field(component)
        if written is None:
            return
        name, spec = written
        kind, writes = _type_of(spec), _types_written(component)
        if writes and kind and kind not in writes and kind.removeprefix("array_") in TYPES:
            message = f"{component.type} writes {_WORDS[writes]}, but {name!r} is {kind} in output_spec"
            yield self._problem("template-type", (*component.path, "type"), message)
            return
        for path, value in self._literals(component):
            if kind and (wrong := value_check({**spec, "type": kind})(value)) is not None:
                message = f"this writes {shown(value)} to {name!r}, which {wrong.message}"
                yield self._problem("template-option", (*component.path, *path), message)
        is_required = spec.get("required", True) is True
        if component.type == "field.checkbox" and is_required and component.value.get("preserveFalse") is not True:
            message = (
                f"{name!r} is required, and a box that is not ticked writes nothing: add "
                '"preserveFalse": true, or nobody can answer no'
            )
            yield self._problem("template-optional", component.path, message, "warning")

    def _literals(self, component: _Component) -> Iterator[tuple[Path, Any]]:
        """Iterate over the values that a component writes, where the configuration says them."""
        if component.type in _WITH_OPTIONS and isinstance(options := component.value.get("options"), list):
            for index, option in enumerate(options):
                if isinstance(option, Mapping) and self._is_literal(option.get("value")):
                    yield ("options", index, "value"), option["value"]
        key = {"field.button-radio": "valueToSet", "action.set": "payload"}.get(component.type)
        if key and self._is_literal(component.value.get(key)):
            yield (key,), component.value[key]

    def _is_literal(self, value: Any) -> bool:
        """Return whether a value is written as it is; components and references are none, and null clears the field."""
        return value is not None and not isinstance(value, Mapping | list) and not self._is_unknown_yet(value)

    def _check_unwritten(self) -> Iterator[Problem]:
        """Check that each required field is written, however a part of it."""
        written = set()
        for component in self._components:
            if component.type.startswith(("field.", "action.")):
                for data in _components(self._resolved(component.value.get("data")), ()):
                    if data.type == "data.output":
                        written.add(_field_of(data.value)[0])
        if None in written:
            return  # as the whole output, or by a path that is only known in the interface
        for name, spec in self._specs["output"].items():
            if spec.get("required", True) is True and spec.get("current_location") is not True and name not in written:
                message = f"{name!r} is required in output_spec, but nothing in the interface writes it"
                path = ("task_spec", "output_spec", name)
                yield self._project.problem("template-unwritten", path, message, "warning")

    def _check_missing_options(self) -> Iterator[Problem]:
        """Check that each allowed value can be chosen, where all values are given as options."""
        offered: dict[str, list[Any] | None] = {}
        for component in self._components:
            if not component.type.startswith(("field.", "action.")) or not (written := self._written_field(component)):
                continue
            options = component.value.get("options")
            is_known = component.type in (*_WITH_OPTIONS, "field.button-radio", "action.set")
            if component.type in _WITH_OPTIONS:
                is_known = isinstance(options, list) and len(options) == len(list(self._literals(component)))
            values = offered.setdefault(written[0], [])
            if not is_known or values is None:
                offered[written[0]] = None
            else:
                values += [value for _, value in self._literals(component)]
        for name, given in offered.items():
            allowed = self._specs["output"][name].get("allowed_values")
            if not given or not isinstance(allowed, list):
                continue
            if missing := [value for value in allowed if value not in given]:
                message = f"nobody can answer {one_of(map(shown, missing))}: no option of the interface gives it"
                path = ("task_spec", "output_spec", name, "allowed_values")
                yield self._project.problem("template-option", path, message, "warning")

    def _resolved(self, value: Any) -> Any:
        """Return what a reference leads to, if need be over others; anything else as it is; None if it is nowhere."""
        followed: set[str] = set()
        while isinstance(value, Mapping) and isinstance(reference := value.get("$ref"), str):
            if reference in followed:
                return None
            followed.add(reference)
            value = self._at(reference)
        return value

    def _at(self, reference: str) -> Any:
        found: Any = self._config
        for part in reference.split("."):
            if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
                found = found[int(part)]
            elif isinstance(found, Mapping) and part in found:
                found = found[part]
            else:
                return None
        return found


_WORDS = {
    ("boolean", "json"): "true or false",
    ("json",): "an object",
    _TEXT: "text",
    ("integer", "float", "json"): "a number",
    _FILE: "one file",
    _FILES: "a list of files",
}


def _components(value: Any, path: Path) -> Iterator[_Component]:
    if isinstance(value, Mapping):
        kind = _bare(value.get("type"))
        if kind is not None:
            yield _Component(kind, value, path)
        for key, part in value.items():
            yield from _components(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _components(part, (*path, index))


def _bare(kind: Any) -> str | None:
    """Return the name of a component; ``None`` for another ``type``, such as that of a schema in a condition."""
    if not isinstance(kind, str):
        return None
    return kind.removeprefix("@yandex-toloka/") if "." in kind else None


def _field_of(data: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """Return the field that a path begins with, and the rest of it."""
    path = data.get("path")
    if not isinstance(path, str) or not path:
        return None, ()
    name, *rest = path.split(".")
    return name, tuple(rest)


def _type_of(spec: Mapping[str, Any]) -> str | None:
    kind = spec.get("type")
    return kind.lower() if isinstance(kind, str) else None


def _types_written(component: _Component) -> tuple[str, ...] | None:
    if component.type not in _WITH_FILES:
        return _WRITES.get(component.type)
    multiple = component.value.get("multiple", False)
    return (_FILES if multiple else _FILE) if isinstance(multiple, bool) else None
