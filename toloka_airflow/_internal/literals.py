"""Where in a Python file the values of a literal are, which is an argument of a call."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping

Path = tuple[str | int, ...]

_PASS_ON = frozenset({"copy", "deepcopy", "dict", "literal"})
"""Functions whose value is that of their only argument."""


def argument_lines(source: str, call_line: int, argument: str) -> dict[Path, int]:
    """
    Return the line of each value in an argument of a call, by the keys that lead to it; the call's own is at ``()``.

    It follows dicts, lists, ``**parts`` of dicts, and names that the file assigns once. What is made otherwise, such as
    by a function or in another file, has no line of its own.

    :param source: The Python file.
    :param call_line: A line, from 1, in the call.
    :param argument: The name of the argument.
    """
    lines: dict[Path, int] = {(): call_line}
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return lines  # It was changed since it was imported.
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    around = [call for call in calls if call.lineno <= call_line <= (call.end_lineno or call.lineno)]
    for call in sorted(around, key=lambda call: (call.lineno, call.col_offset), reverse=True):
        for keyword in call.keywords:
            if keyword.arg == argument:
                _add(lines, keyword.value, (), _assigned_once(tree))
                return lines
    return lines


def _add(lines: dict[Path, int], value: ast.expr, path: Path, names: Mapping[str, ast.expr]) -> None:
    """Add the line of each value in an expression; where a key is there twice, the last one counts."""
    match value:
        case ast.Dict(keys=keys, values=values):
            for key, item in zip(keys, values, strict=True):
                _add_item(lines, key, item, path, names)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            _add(lines, left, path, names)
            _add(lines, right, path, names)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            for index, item in enumerate(items):
                if isinstance(item, ast.Starred):
                    return  # Nobody knows at which index the next ones are.
                _put(lines, (*path, index), item.lineno)
                _add(lines, item, (*path, index), names)
        case ast.Name(id=name) if name in names:
            _add(lines, names[name], path, {other: found for other, found in names.items() if other != name})
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[passed]) if name in _PASS_ON:
            _add(lines, passed, path, names)


def _add_item(
    lines: dict[Path, int], key: ast.expr | None, item: ast.expr, path: Path, names: Mapping[str, ast.expr]
) -> None:
    if key is None:  # **item
        _add(lines, item, path, names)
        return
    name = names.get(key.id) if isinstance(key, ast.Name) else key
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        _put(lines, (*path, name.value), key.lineno)
        _add(lines, item, (*path, name.value), names)


def _put(lines: dict[Path, int], path: Path, line: int) -> None:
    for replaced in [known for known in lines if known[: len(path)] == path]:
        del lines[replaced]
    lines[path] = line


def _assigned_once(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the values of the names that mean the same wherever they are in the file."""
    bound: Counter[str] = Counter()
    values: dict[str, ast.expr] = {}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                bound[name] += 1
            case ast.alias(name=name, asname=other):
                bound[other or name.partition(".")[0]] += 1
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value):
                values[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                values[name] = value
    return {name: value for name, value in values.items() if bound[name] == 1}
