"""The lines on which the values of a configuration are."""

from __future__ import annotations

from pathlib import Path

import pytest

from toloka_airflow.storage.config_files import read_config_with_lines

JSON = """{
  "a": {"b": 1,
        "c": [1, {"d": "}"},
          []]},
  "e": null
}
"""
YAML = """# a comment
base: &base
  x: 1
  y: 2
here:
  <<: *base
  y: 3
list:
  - one
  - {k: v,
     l: w}
"""


def lines(tmp_path: Path, name: str, text: str) -> dict[str, int]:
    file = tmp_path / name
    file.write_text(text)
    return {".".join(map(str, path)): line for path, line in read_config_with_lines("config", file)[1].items()}


def test_json(tmp_path: Path) -> None:
    assert lines(tmp_path, "a.json", JSON) == {
        "a": 2,
        "a.b": 2,
        "a.c": 3,
        "a.c.0": 3,
        "a.c.1": 3,
        "a.c.1.d": 3,
        "a.c.2": 4,
        "e": 5,
    }


def test_yaml(tmp_path: Path) -> None:
    assert lines(tmp_path, "a.yaml", YAML) == {
        "base": 2,
        "base.x": 3,
        "base.y": 4,
        "here": 5,
        "here.x": 3,
        "here.y": 7,
        "list": 8,
        "list.0": 9,
        "list.1": 10,
        "list.1.k": 10,
        "list.1.l": 11,
    }


@pytest.mark.parametrize(("name", "text"), [("a.json", "{}"), ("a.yaml", "{}")])
def test_nothing(tmp_path: Path, name: str, text: str) -> None:
    assert lines(tmp_path, name, text) == {}
