"""What attachments are called: by names that every store takes, and that are all different."""

from __future__ import annotations

import re

import pytest

from toloka_airflow.transfer.attachments.names import file_name

ASSIGNMENT, ATTACHMENT = "00022cfa46--637cf4098ccdeb4a260737de", "0983459b-e26f-42f3-a5fd-6e3feee913e7"
SAFE = re.compile(r"[0-9a-z][0-9A-Za-z_-]*(\.[0-9a-z]+)?")
NAMES = {
    "37540601.jpg": "37540601.jpg",
    "My photo (1).JPG": "My-photo-1.jpg",
    "photo": "photo",
    "a.tar.gz": "a-tar.gz",
    "": "file",
    ".": "file",
    "..": "file",
    ".bashrc": "bashrc",
    "...": "file",
    "../../etc/passwd": "passwd",
    r"C:\Users\me\CON.txt": "CON.txt",
    "nul": "nul",
    "name. ": "name",
    "name.txt:stream": "name.txtstream",
    "name%2F..%2Fx.png": "name-2F-2Fx.png",
    "a\nb\0c\x7f.png": "a-b-c.png",
    '<>:"|?*.png': "file.png",
    "\u0444\u043e\u0442\u043e.jpg": "file.jpg",
    "\u202egnp.exe": "gnp.exe",
    "half \ud83d.png": "half.png",
    "~": "file",
    "-rf": "rf",
    "=cmd.csv": "cmd.csv",
    "a" * 300 + ".png": "a" * 44 + ".png",
    "a." + "b" * 300: "a." + "b" * 16,
    "\u00e9" * 300: "file",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_safe(name: str) -> None:
    found = file_name(ASSIGNMENT, ATTACHMENT, name)
    assert found == f"{ASSIGNMENT}_{ATTACHMENT}_{NAMES[name]}"
    assert SAFE.fullmatch(found)
    assert len(found.encode()) <= 143


@pytest.mark.parametrize("number", ["../../etc/cron.d/x", "..", "/etc/passwd", "a\\b", "a\n", "", "half \ud83d"])
def test_ids_lead_nowhere_else(number: str) -> None:
    assert SAFE.fullmatch(file_name(number, ATTACHMENT, "x.png"))
    assert SAFE.fullmatch(file_name(ASSIGNMENT, number, "x.png"))


def test_names_are_different_where_case_is_the_same() -> None:
    ids = ["a1", "A1", "a" * 50, "A" * 50, "a" * 49 + "b", "a" * 5000]
    found = {file_name(one, other, "x.png").lower() for one in ids for other in ids}
    assert len(found) == len(ids) ** 2
    assert all(SAFE.fullmatch(name) and len(name) <= 143 for name in found)


def test_a_file_has_the_same_name_the_next_time() -> None:
    assert file_name("Z", "y" * 99, "x") == file_name("Z", "y" * 99, "x")
