"""Rows made from pages: the same values as by `json`, whatever people and servers send."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from toloka_airflow.api.errors import TolokaError
from toloka_airflow.api.pages import Page
from toloka_airflow.transfer.download.answer_rows import (
    AssignmentRows,
    answer_rows,
    read_answers,
    read_assignments,
)

NUMBERS = [0, -0.0, 1, -7, 2**53 + 1, 2**70, 0.1, 1.10, 2.5e-5, 1e17, 1e-320, 123456789.123456789]
TEXTS = [
    "",
    "plain",
    "Ünï 猫",
    "\U0001f408 cat",
    'quote " and \\ and / and \t\n\r\b\f',
    "\x00\x1f\x7f\u2028\u2029\ufeff",
    "null",
    "1e5",
    '{"a": 1}',
    "\u00a0",
]


def value(chance: random.Random, depth: int = 0) -> Any:
    """Return anything that JSON can say."""
    kind = chance.randrange(8 if depth < 5 else 5)
    if kind == 0:
        return chance.choice(NUMBERS)
    if kind == 1:
        return chance.choice([None, True, False])
    if kind == 2:
        return chance.uniform(-1, 1) * 10.0 ** chance.randint(-30, 30)
    if kind < 5:
        return "".join(chance.choice(TEXTS) for _ in range(chance.randint(0, 3)))
    if kind < 7:
        return {chance.choice(TEXTS): value(chance, depth + 1) for _ in range(chance.randint(0, 4))}
    return [value(chance, depth + 1) for _ in range(chance.randint(0, 4))]


def assignment(chance: random.Random, number: int) -> dict[str, Any]:
    tasks = []
    for index in range(chance.randint(0, 12)):
        task = {"id": f"t-{index}", "input_values": value(chance), "overlap": 3, "reserved_for": value(chance)}
        if chance.random() < 0.3:
            task["known_solutions"] = chance.choice([None, [], [{"output_values": value(chance)}]])
        tasks.append(task)
    facts = ["task_suite_id", "pool_id", "user_id", "status", "reward", "submitted", "public_comment", "owner"]
    return {
        "id": f"a-{number:05}",
        "tasks": tasks,
        "solutions": [{"output_values": value(chance)} for _ in tasks],
        **{name: value(chance) for name in facts if chance.random() < 0.7},
    }


def lines(page: Page[AssignmentRows]) -> list[bytes]:
    return [line for rows in page.items if rows.lines for line in rows.lines.split(b"\n")]


WRITERS: dict[str, Callable[[Any], str]] = {
    "compact": lambda page: json.dumps(page, ensure_ascii=False, separators=(",", ":")),
    "with spaces": lambda page: json.dumps(page, ensure_ascii=False),
    "escaped": json.dumps,
    "with line breaks": lambda page: json.dumps(page, indent=2).replace("\n", "\r\n"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_ten_thousand_rows_mean_what_they_did(writer: str) -> None:
    chance, count = random.Random(writer), 0
    while count < 10_000:
        page = [assignment(chance, number) for number in range(300)]
        content = WRITERS[writer]({"items": page, "has_more": True}).encode()
        wanted = [json.loads(line) for one in page for line in answer_rows(one)]
        found = read_answers(content)
        assert [json.loads(line) for line in lines(found)] == wanted
        assert [list(json.loads(line)) for line in lines(found)] == [list(row) for row in wanted]
        assert (found.keys, found.has_more) == ([one["id"] for one in page], True)
        assert [rows.answers for rows in found.items] == [len(one["solutions"]) for one in page]
        whole = read_assignments(content)
        assert [json.loads(line) for line in lines(whole)] == page
        assert (whole.keys, [rows.answers for rows in whole.items]) == (
            found.keys,
            [rows.answers for rows in found.items],
        )
        count += len(wanted)


def page_of(answer: str, **more: Any) -> bytes:
    """Return a page with one answer, by its JSON."""
    rest = "".join(f', "{name}": {text}' for name, text in more.items())
    task = '{"id": "t", "input_values": {}}'
    return (
        f'{{"items": [{{"id": "a", "tasks": [{task}], "solutions": [{{"output_values": {answer}}}]{rest}}}],'
        '"has_more": false}'
    ).encode()


@pytest.mark.parametrize(
    ("answer", "means"),
    [
        (r'{"v": "\ud83d"}', {"v": "\ud83d"}),  # halves of characters, which people do send
        (r'{"v": "a\udc08b"}', {"v": "a\udc08b"}),
        (r'{"\ud83d": [1.10, 1e2]}', {"\ud83d": [1.1, 100.0]}),
        ('{"v": NaN, "w": -Infinity}', {"v": None, "w": None}),
        ('{"v": 1, "v": 2}', {"v": 2}),
        ('{"v":\n [1,\r\n\t 2]}', {"v": [1, 2]}),
        ("null", None),
    ],
)
def test_what_is_hard_to_copy(answer: str, means: Any) -> None:
    [row] = lines(read_answers(page_of(answer)))
    assert json.loads(row)["output_values"] == means
    [whole] = lines(read_assignments(page_of(answer)))
    assert json.loads(whole)["solutions"] == [{"output_values": means}]
    assert not {b"\n", b"\r"} & {row, whole}


def test_numbers_keep_their_digits() -> None:
    """A reader of decimals gets what the API said."""
    [row] = lines(read_answers(page_of('{"price": 1.10, "n": 123456789012345678901234567890.5}')))
    assert row.endswith(b'"output_values":{"price":1.10,"n":123456789012345678901234567890.5}}')


@pytest.mark.parametrize("key", ["id", "status", "tasks", "solutions"])
def test_the_last_of_two_equal_keys_counts(key: str) -> None:
    """Also if the first is of another type."""
    content = page_of('{"v": 1}').replace(b'{"id": "a"', b'{"%b": 5, "id": "a", "status": "ACCEPTED"' % key.encode())
    [row] = lines(read_answers(content))
    assert json.loads(row) == json.loads(next(answer_rows(json.loads(content)["items"][0])))


@pytest.mark.parametrize("content", [b"", b"{", b'{"items": []', page_of('"\xff"').replace("ÿ".encode(), b"\xff")])
def test_what_is_no_json(content: bytes) -> None:
    for read in (read_answers, read_assignments):
        with pytest.raises(ValueError, match="not JSON"):
            read(content)


@pytest.mark.parametrize("more", ["0", '"false"', "null", "[]"])
def test_a_has_more_that_is_no_boolean(more: str) -> None:
    content = page_of("{}").replace(b"false", more.encode())
    for read in (read_answers, read_assignments):
        with pytest.raises(TolokaError, match="a page with 1 item, a to a, whose has_more is"):
            read(content)


@pytest.mark.parametrize(("text", "found"), [("[]", False), ("null", False), ("[ ]", False), ("[1, 2]", True)])
def test_control_tasks(text: str, found: bool) -> None:
    content = page_of("{}").replace(b'"input_values"', b'"known_solutions": %b, "input_values"' % text.encode())
    [row] = lines(read_answers(content))
    assert json.loads(row).get("known_solutions") == ([1, 2] if found else None)
    assert ("known_solutions" in json.loads(row)) is found


def test_an_id_that_is_a_number() -> None:
    content = page_of("{}").replace(b'"id": "a"', b'"id": 7')
    assert read_answers(content).keys == read_assignments(content).keys == ["7"]
    assert json.loads(lines(read_answers(content))[0])["assignment_id"] == 7


def test_rows_do_not_keep_their_page() -> None:
    """A value that msgspec cuts out of a page would keep all of it in memory."""
    for read in (read_answers, read_assignments):
        [rows] = read(page_of('{"v": "x"}')).items
        assert type(rows.lines) is bytes
        assert not isinstance(rows.lines, msgspec.Raw)
