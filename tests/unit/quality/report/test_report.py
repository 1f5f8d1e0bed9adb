"""A report holds the figures that follow from its answers, and what others wrote is text in it."""

from __future__ import annotations

import json
import re
import tracemalloc
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.reports import HOSTILE, MARKUP, PNG, POOL, PROJECT, answers, excessive_answers, hostile_answers, labels
from toloka_airflow.quality.report import PoolFacts, build_report, read_figures
from toloka_airflow.quality.report.agreement import MOST_LABELS
from toloka_airflow.quality.report.figures import MOST_FIELDS
from toloka_airflow.quality.report.people import MOST_DOTS
from toloka_airflow.quality.report.progress import MOST_SPANS

MADE = datetime(2026, 11, 3, 12, tzinfo=UTC)
ADDRESS = "http://tracker.example.org"
VOID = {"meta", "link", "img"}


class Page(HTMLParser):
    """The elements of a page, its text, and whether every element is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.headings: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("h2", "h3"):
            self.headings.append(data)
        if self._open and self._open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(rows: Any, given: Any = None, **more: Any) -> Page:
    return Page(build_report(rows, given, made=MADE, **more))


def test_it_has_every_part() -> None:
    facts = PoolFacts(PROJECT, POOL, {"percent": 100, "spent": 0.9, "committed": 0.0}, ["person-00000"])
    found = page(answers(), labels(answers()), facts=facts)
    titles = [
        "What was asked",
        "Progress",
        "Money",
        "Agreement",
        "Which labels are taken for which",
        "People",
        "The least sure tasks",
        "What the figures mean",
    ]
    assert found.headings == titles
    for words in (
        "Which animal is it?",
        "Say what is in a picture",
        "Look <b>closely</b>.",
        "Animals (21)",
        "4 real, 1 control",
    ):
        assert words in found.text
    assert "By Toloka's own count, $0.90 are spent" in found.text
    assert "1 of them is banned" in found.text
    assert {"so-far", "answers", "shares", "over-time", "histogram", "confusion", "people"} == {
        str(svg["class"]).split()[1] for svg in found.of("svg")
    }
    assert all(svg["aria-label"] and svg["role"] == "img" for svg in found.of("svg"))
    assert {image["src"] for image in found.of("img")} == {PNG}


def test_the_overlap_of_pages_is_not_taken_for_that_of_tasks() -> None:
    pool = {**POOL, "defaults": {"default_overlap_for_new_task_suites": 1}}
    assert "Overlap" not in page(answers(), facts=PoolFacts(PROJECT, pool)).text
    assert "Overlap of new tasks" in page(answers(), facts=PoolFacts(PROJECT, POOL)).text


def test_every_figure_in_a_tile_is_defined() -> None:
    found = page(answers())
    defined = {f"#{attributes['id']}" for attributes in found.of("dt") if "id" in attributes}
    targets = {str(link["href"]) for link in found.of("a")}
    assert targets
    assert targets <= defined


def test_the_figures_follow_from_the_answers() -> None:
    facts = {"pool_id": "21", "assignment_reward": 0.1}
    given = [("1", "a", "ACCEPTED", "cat"), ("1", "b", "ACCEPTED", "cat"), ("1", "c", "REJECTED", "dog")]
    given += [("2", "a", "ACCEPTED", "dog"), ("2", "b", "SUBMITTED", "cat")]
    rows = [
        {
            **facts,
            "task_id": task_id,
            "user_id": person,
            "assignment_id": f"{task_id}{person}",
            "status": status,
            "output_values": {"animal": animal},
            "submitted": f"2026-11-02T09:0{number}:00",
        }
        for number, (task_id, person, status, animal) in enumerate(given)
    ]
    made = [
        {"task_id": task_id, "output_values": {"animal": animal}, "score": score}
        for task_id, animal, score in (("1", "cat", 1), ("2", "dog", 0.5))
    ]
    figures = read_figures(rows, made)
    assert figures.summary() == {
        "tasks": 2,
        "answers": 5,
        "people": 3,
        "labels": 2,
        # 4 votes, 3 of cat: 1 - (4 - 1) * 2 / (16 - 9 - 1)
        "alpha": {"animal": 0.0},
        "sure": 0.5,
        "spent": 0.3,
        "committed": 0.1,
        "per_label": 0.2,
    }
    [field] = figures.fields
    assert (field.values, field.confusion, field.right, field.compared) == (["cat", "dog"], [[2, 0], [1, 1]], 3, 4)
    accuracies = {person.id: (person.right, person.compared) for person in figures.people}
    assert accuracies == {"a": (2, 2), "b": (1, 2), "c": (0, 0)}
    # a: from 9:00 to 9:03, b: from 9:01 to 9:04
    assert {person.id: person.seconds for person in figures.people} == {"a": 180, "b": 180, "c": None}
    assert figures.times_are == "gap"
    assert not figures.is_confidence
    least, other = figures.doubts
    assert (least.task_id, least.sureness, other.task_id) == ("2", 0.5, "1")
    votes = [(vote.value, vote.people, vote.is_label) for vote in other.votes["animal"]]
    assert votes == [("cat", ("a", "b"), True), ("dog", ("c (rejected)",), False)]


def test_known_solutions_are_right() -> None:
    rows = answers(30, 5, 5)
    for row in rows:
        row["known_solutions"] = [{"output_values": {"animal": "cat"}}]
    figures = read_figures(rows, labels(rows))
    assert figures.accuracy_by == "control tasks"
    assert all(not any(counts) for counts in figures.fields[0].confusion[1:])
    assert figures.doubts[0].votes["animal"][0].is_known or figures.doubts[0].votes["animal"][1].is_known


def test_labels_are_counted_of_what_can_have_one() -> None:
    """Control tasks need none, and a model may have labelled what nobody was shown."""
    rows = answers(10)
    for row in rows:
        if row["task_id"] in ("task-000000", "task-000001"):
            row["known_solutions"] = [{"output_values": {"animal": "cat"}}]
    every = labels(rows)
    assert "Labels10of 10 answered tasks Answers" in page(rows, every).text
    assert "Labels8of 8 answered tasks; 2 control tasks have none Answers" in page(rows, every[2:]).text
    assert "Labels8of 9 answered tasks; 1 control task has none Answers" in page(rows, [every[0], *every[3:]]).text
    others = [{**row, "task_id": f"other-{row['task_id']}"} for row in every[:1]]
    assert "Labels10for 9 of 10 answered tasks, and for 1 other Answers" in page(rows, every[:9] + others).text


@pytest.mark.parametrize("rows", [[], answers(1, 1, 1), answers(2, 1, 1)])
def test_few_answers(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    for given in (None, labels(rows)):
        found = page(rows, given, facts=PoolFacts(PROJECT, POOL))
        assert "The least sure tasks" in found.text
        assert ("Nobody has answered yet." in found.text) == (not rows)
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert page(str(file)).text == page(rows).text


def test_labels_without_answers() -> None:
    found = page([], labels(answers(5)))
    assert "There are no answers in the file" in found.text


def test_labels_that_say_not_how_sure_they_are() -> None:
    rows = answers()
    given = [{name: row[name] for name in ("task_id", "output_values")} for row in labels(rows)]
    found = page(rows, given)
    assert "neither a confidence nor a score" in found.text
    assert "It is not known how sure labels are." in found.text


def test_scores_are_called_scores() -> None:
    rows = answers()
    given = [{**row, "score": row.pop("confidence")} for row in labels(rows)]
    found = page(rows, given)
    assert "with a score of 0.9 or more" in found.text
    assert "Expected right" not in found.text


@pytest.mark.parametrize(
    ("methods", "number", "texts"),
    [
        (["dawid_skene_map"], "confidence", ["Made by the method dawid_skene_map.", "It is calibrated: of labels"]),
        (["toloka:DAWID_SKENE"], "score", ["Made by Toloka's own aggregation (DAWID_SKENE).", "calls confidence; it"]),
        (["a <b>", "c"], "confidence", ["Made by the method a <b> and the method c.", "is not known here"]),
        ([None], "confidence", ["by what wrote the file of labels, which does not name", "is not known here"]),
        (["dawid_skene_map", "toloka:DAWID_SKENE"], "score", ["(DAWID_SKENE) and the method dawid_skene_map"]),
        (list("abcdef"), "confidence", ["Made by 6 methods."]),
    ],
)
def test_it_says_whose_number_a_confidence_is(methods: list[str | None], number: str, texts: list[str]) -> None:
    """What Toloka's own aggregation calls confidence is none, as far as anybody knows."""
    rows = answers()
    given = [
        {**row, **({} if method is None else {"method": method})}
        for row, method in zip(labels(rows), cycle(methods), strict=False)
    ]
    found = page(rows, given)
    assert f"with a {number} of 0.9 or more" in found.text
    assert ("Expected right" in found.text) == (number == "confidence")
    for text in texts:
        assert text in found.text
    assert ("is calibrated: of labels" in found.text) == (methods == ["dawid_skene_map"])


def test_many_labels_are_put_together() -> None:
    rows = answers(60)
    for row in rows:
        row["output_values"] = {"animal": f"animal {int(row['task_id'][-3:]) % 40}"}
    figures = read_figures(rows, labels(rows))
    [field] = figures.fields
    assert len(field.confusion) == MOST_LABELS
    assert field.others == 40 - MOST_LABELS + 1
    found = page(rows, labels(rows))
    assert "29 others" in found.text
    # That one of the others was answered where one of them is right is no mistake: it may be the same.
    kinds = [str(rect["class"]).split()[1] for rect in found.of("rect") if str(rect["class"]).startswith("cell")]
    assert kinds.count("unknown") == 2
    assert "29 others taken for 29 others" not in found.text


def test_several_fields_and_other_values() -> None:
    rows = answers()
    for number, row in enumerate(rows):
        row["output_values"] |= {"colours": ["red", "blue"][: number % 3], "size": number % 4, "nothing": None}
    found = page(rows, fields=["animal", "colours", "size"])
    assert "Agreement: size" in found.text
    assert '["blue","red"]' in found.text.replace(", ", ",")


def test_its_size_and_memory_are_bounded() -> None:
    few = len(build_report(answers(100, 3, 10), made=MADE))
    rows = answers(2000, 4, 2000)
    tracemalloc.start()
    html = build_report(rows, made=MADE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(html) < 3 * few
    assert len(html) < 400_000
    assert peak < 60_000_000
    assert "25 of 1," in html


def test_values_that_are_too_many_too_long_or_too_deep() -> None:
    rows = excessive_answers()
    html = build_report(rows, made=MADE)
    assert len(html) < 500_000
    found = Page(html)
    for words in ("and 9991 more inputs", "197 no figure is here", "a value that is nested too deeply to be shown"):
        assert words in found.text, words
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", html)
    figures = read_figures(rows)
    assert len(figures.fields) == MOST_FIELDS
    assert len(figures.fields) + len(figures.left_out_fields) == 203


def test_more_values_than_are_shown_are_counted() -> None:
    rows = answers(5, 15, 15)
    for number, row in enumerate(rows):
        row["output_values"] = {"animal": f"animal {number // 5}"}
    assert "and 5 more values" in page(rows, labels(rows)).text


def test_each_person_of_an_answer_has_a_line_of_their_own() -> None:
    """A long id is cut where its line ends, and no comma is left alone; text of one id turns no other one around."""
    rows = [
        {"assignment_id": f"{n:02}", "task_id": "t", "user_id": f"person-{n:02}", "output_values": {"animal": "cat"}}
        for n in range(10)
    ]
    found = page(rows)
    people = " ".join(f"person-{number:02}" for number in range(8))
    assert f"10{people} and 2 more" in found.text
    assert ".votes td bdi { display: block }" in build_report(rows, None, made=MADE)


def test_times_that_no_calendar_has(tmp_path: Path) -> None:
    rows = answers()
    for row, time in zip(rows, ("9999-12-31T23:59:59", "0001-01-01T00:00:00"), strict=False):
        row["submitted"] = time
    timeline = read_figures(rows).timeline
    assert timeline is not None
    assert sum(map(sum, timeline.counts.values())) == len(rows) - 2
    assert page(rows).headings


def test_many_people_share_dots() -> None:
    rows = answers(3000, 3, 2500, page=1)
    for row in rows:
        row["input_values"] = {}
    found = page(rows)
    dots = [circle for circle in found.of("circle") if circle["class"] == "person"]
    # A chart for wide pages, and one for narrow ones.
    assert MOST_DOTS / 2 < len(dots) / 2 <= MOST_DOTS
    assert "several that are near each other" in found.text


def test_without_answers_no_method_is_claimed_for_labels_that_were_given() -> None:
    assert "by dawid_skene_map, for this report" in page([]).text.replace("by the method", "by")
    assert "Made by what wrote the file of labels" in page([], []).text


def test_the_agreement_in_large_says_of_which_field_it_is() -> None:
    rows = answers()
    for number, row in enumerate(rows):
        row["output_values"] |= {"size": number % 2}
    assert "in animal: " in page(rows).text
    assert "in animal: " not in page(rows, fields=["animal"]).text


def test_it_is_the_same_for_any_order_of_rows() -> None:
    rows = answers()
    assert build_report(rows, made=MADE) == build_report(rows[::-1], made=MADE)


def test_a_long_time_has_few_spans() -> None:
    rows = answers()
    rows[0]["submitted"] = "2019-01-01T00:00:00"
    timeline = read_figures(rows).timeline
    assert timeline is not None
    assert timeline.spans <= MOST_SPANS
    assert sum(map(sum, timeline.counts.values())) == len(rows)


def test_hostile_text_is_text() -> None:
    rows = hostile_answers(ADDRESS)
    project = dict.fromkeys(("id", "public_name", "public_description", "public_instructions"), MARKUP)
    facts = PoolFacts(project, {"id": MARKUP, "private_name": MARKUP, "status": MARKUP}, {}, [rows[0]["user_id"]])
    html = build_report(rows, labels(rows), facts=facts, title=MARKUP, made=MADE)
    found = Page(html)
    kinds = {name for name, _ in found.elements}
    assert not kinds & {
        "script",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
        "foreignobject",
        "use",
        "image",
        "style2",
    }
    assert len(found.of("style")) == 1
    assert [link["href"] for link in found.of("link")] == ["data:,"]
    for _, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcset", "xlink:href")]
    assert all(str(image["src"]).startswith("data:image/svg+xml;base64,PHN2") for image in found.of("img"))
    links = {str(link["href"]) for link in found.of("a")}
    assert {link for link in links if not link.startswith("#about-")} == {f"{ADDRESS}/image.png"}
    for text in HOSTILE:
        shown = re.sub("[\x00-\x1f\u202e\ud800-\udfff]", "\ufffd", text)
        assert shown[:30] in found.text or text.startswith("data:image")


def test_the_policy_allows_neither_scripts_nor_requests() -> None:
    [policy] = [
        str(meta["content"])
        for meta in page(answers()).of("meta")
        if "http-equiv" in meta and "content" in meta and "default-src" in str(meta["content"])
    ]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts.pop("style-src").startswith("'sha256-")
    assert parts == {"default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}


def test_images_that_are_too_large_are_left_out() -> None:
    rows = answers()
    for row in rows:
        row["input_values"] = {"image": f"data:image/png;base64,{'A' * 600_000}"}
    html = build_report(rows, made=MADE)
    assert len(html) < 400_000
    assert "an image of 600 kB, too large for this page" in Page(html).text


@pytest.mark.parametrize(
    ("rows", "given", "words"),
    [
        ("nowhere.jsonl", None, "there is no such file"),
        ([{"task_id": "1"}], None, "output_values"),
        (answers(), [{"task_id": "1"}], "it is no label"),
        (answers(), [{"task_id": "1", "output_values": {"colour": "red"}}], "no answer has the field 'colour'"),
    ],
)
def test_what_cannot_be_read_is_refused(rows: Any, given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_report(rows, given)


def test_a_line_that_is_nested_too_deeply_is_refused_with_its_number(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in answers(2, 1, 1)]
    lines[1] = lines[1].replace('"input_values": {', f'"input_values": {{"deep": {"[" * 9000}{"]" * 9000}, ')
    file = tmp_path / "answers.jsonl"
    file.write_text("\n".join(lines))
    with pytest.raises(ValueError, match="line 2: it is not JSON"):
        build_report(str(file))
