from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from toloka_airflow.storage.config_files import read_config, read_config_with_lines

CONFIG = {
    "private_name": "yes",
    "allowed_values": ["yes", "no", "on", "010", "12:30:00"],
    "will_expire": "2030-01-01",
    "reward_per_assignment": 1e-2,
    "priority": -5,
    "factor": 0.5,
    "flags": [True, False, None],
}
YAML = """
# A file that a person writes.
private_name: yes
allowed_values: [yes, no, on, "010", 12:30:00]
will_expire: 2030-01-01
reward_per_assignment: 1e-2
priority: -5
factor: .5
flags: [true, False, ~]
"""


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml", ".JSON"])
@pytest.mark.parametrize("kind", [str, ObjectStoragePath, Path], ids=lambda kind: kind.__name__)
def test_both_formats_say_the_same(tmp_path: Path, suffix: str, kind: Any) -> None:
    file = tmp_path / f"pool{suffix}"
    file.write_text(json.dumps(CONFIG) if "j" in suffix.lower() else YAML, encoding="utf-8-sig")
    assert read_config("config", kind(file)) == CONFIG


def test_json_is_yaml(tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text(json.dumps(CONFIG, indent=2))
    assert read_config("config", str(file)) == CONFIG


def test_anchors(tmp_path: Path) -> None:
    file = tmp_path / "pool.yaml"
    file.write_text("a: &text {type: string}\nb: {<<: *text, type: url, hidden: true}\n")
    assert read_config("config", str(file))["b"] == {"type": "url", "hidden": True}


def test_a_mapping_is_copied() -> None:
    given = {"a": 1}
    read_config("config", given)["b"] = 2
    assert given == {"a": 1}


def test_keys_are_text_as_in_json(tmp_path: Path) -> None:
    """Python takes 1 and true for the same key, of which one value would be lost."""
    file = tmp_path / "project.yaml"
    file.write_text("1: a\ntrue: b\nnull: c\n1.50: d\n")
    config, lines = read_config_with_lines("config", file)
    assert config == {"1": "a", "true": "b", "null": "c", "1.50": "d"}
    assert [lines[(key,)] for key in config] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("pool.json", b'{"a": 1,\n "b": }', r"pool\.json, line 2: no JSON: Expecting value"),
        ("pool.json", b"", r"pool\.json, line 1: no JSON"),
        ("pool.json", b"[1]", r"pool\.json holds a list, not an object"),
        ("pool.json", b'{"a": "\xff"}', r"pool\.json is not UTF-8"),
        ("pool.yaml", b"a: 1\nb: [1\nc: 2", r"pool\.yaml, line 3: no YAML: expected"),
        ("pool.yaml", b"", r"pool\.yaml is empty; it must hold an object"),
        ("pool.yaml", b"# nothing\n", r"pool\.yaml is empty; it must hold an object"),
        ("pool.yaml", b"- 1", r"pool\.yaml holds a list, not an object"),
        ("pool.yaml", b"a: 1\n---\nb: 2", r"line 2: no YAML: expected a single document in the stream, but found"),
        ("pool.yaml", b"1: 1\n'1': 2", r"line 2: no YAML: '1' is there twice"),
        ("pool.yaml", b"a: !!python/object:os.system x", r"line 1: no YAML: could not determine a constructor"),
        ("pool.yaml", b"a: \x00", r"pool\.yaml: no YAML: unacceptable character"),
        ("pool.json", b'{"a": {"b": 1,\n"c": 2,\n"b": 3}}', r"pool\.json, line 3: no JSON: 'b' is there twice"),
        (
            "pool.json",
            b'{"a": [{"b": "\\"{"}, {"b": 1}],\n"\\u0061" : 1}',
            r"pool\.json, line 2: no JSON: 'a' is there twice",
        ),
        (
            "pool.json",
            b'{"a": "NaN: 1e999",\n"b": NaN}',
            r"pool\.json, line 2: no JSON: NaN is no number that JSON has",
        ),
        ("pool.json", b'{"a": 1e999}', "1e999 is no number that JSON has"),
        ("pool.json", b'{"a": %s}' % (b"1" * 5000), r"pool\.json, line 1: no JSON: Exceeds the limit"),
        ("pool.json", b"[" * 100_000, r"pool\.json: no JSON that can be read: it is nested too deep"),
        ("pool.yaml", b"[" * 2_000, r"pool\.yaml: no YAML that can be read: it is nested too deep"),
        ("pool.yaml", b"a: 1\nb: 2\na: 3", r"pool\.yaml, line 3: no YAML: 'a' is there twice"),
        ("pool.yaml", b"a: {}\nb:\n  c: 1e999", r"pool\.yaml, line 3: no YAML: 1e999 is no number"),
        ("pool.yaml", b"a: %s" % (b"1" * 5000), r"pool\.yaml, line 1: no YAML: Exceeds the limit"),
        ("pool.yaml", b"a: !!binary YQ==", r"line 1: no YAML: could not determine a constructor"),
        ("pool.yaml", b"a: !!timestamp 2030-01-01", r"line 1: no YAML: could not determine a constructor"),
        ("pool.yaml", b"? [a]\n: 1", r"line 1: no YAML: unhashable"),
        ("pool.toml", b"", r"pool\.toml'; the name of the file must end in \.json, \.yaml, \.yml"),
        ("pool", b"", "must end in"),
    ],
)
def test_what_is_no_configuration(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        read_config("config", str(tmp_path / name))
    assert str(caught.value).startswith("config")
    assert type(caught.value) is ValueError  # a public name


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    for name in ("nothing.json", "folder.json"):
        with pytest.raises(ValueError, match=rf"config is '.*{name}', and there is no such file"):
            read_config("config", str(tmp_path / name))


@pytest.mark.parametrize("value", [None, ""])
def test_no_path_at_all(value: Any) -> None:
    with pytest.raises(ValueError, match="it must be a dict, or the path"):
        read_config("config", value)
