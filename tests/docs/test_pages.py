"""What the README and docs/ quote is in the examples, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MADE = ROOT / "docs" / "_reference"
"""What Sphinx writes for itself."""
DOCS = [path for path in sorted((ROOT / "docs").rglob("*.md")) if MADE not in path.parents]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
QUOTED = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUOTES = [(page.name, name, text) for page in PAGES for name, text in QUOTED.findall(page.read_text())]
LINK = re.compile(r"\]\((?!https?:)([^)]+)\)|src=\"([^\"]+)\"")


@pytest.mark.parametrize(("page", "name", "text"), QUOTES, ids=lambda value: value if len(value) < 30 else "")
def test_what_is_quoted_is_in_the_example(page: str, name: str, text: str) -> None:
    assert not_quoted(text, (ROOT / "dags_examples" / name).read_text()) is None


def not_quoted(quotation: str, text: str) -> str | None:
    """
    Return the first part of a quotation that is not in a text, line by line; None if all of it is.

    Lines stand together there as here, one after the other, and all of them as much further to the right. What is left
    out is marked by a line ``# ...``.
    """
    lines = text.splitlines()
    begin, shifts = 0, None
    for part in re.split(r"^ *# \.\.\.\n", quotation, flags=re.MULTILINE):
        quoted = part.splitlines()
        found = (place for place in range(begin, len(lines)) if shifts_of(quoted, lines[place:]) & (shifts or ANY))
        place = next(found, None)
        if place is None:
            return part
        shifts = shifts_of(quoted, lines[place:]) & (shifts or ANY)
        # A mark stands for at least one line.
        begin = place + len(quoted) + 1
    return None


ANY = frozenset(range(0, 40, 4))


def shifts_of(quoted: list[str], lines: list[str]) -> frozenset[int]:
    """Return by how many blanks lines that are quoted stand further to the right."""
    shown = lines[: len(quoted)]
    return frozenset(shift for shift in ANY if [line and " " * shift + line for line in quoted] == shown)


EXAMPLE = """\
import a

with DAG() as dag:
    # First.
    first = Operator(
        task_id="first",
        retries=1,
    )
    second = Operator(task_id="second")

    first >> second
"""


@pytest.mark.parametrize(
    "quotation",
    [
        "import a\n\nwith DAG() as dag:\n",
        'second = Operator(task_id="second")\n\nfirst >> second\n',
        '    second = Operator(task_id="second")\n\n    first >> second\n',
        'first = Operator(\n    task_id="first",\n    # ...\n)\nsecond = Operator(task_id="second")\n',
        "import a\n# ...\n    first >> second\n",
        "with DAG() as dag:\n    # ...\n    first = Operator(\n        # ...\n    )\n    # ...\n    first >> second\n",
    ],
)
def test_a_true_quotation(quotation: str) -> None:
    assert not_quoted(quotation, EXAMPLE) is None


@pytest.mark.parametrize(
    ("quotation", "part"),
    [
        # Another line, another order, a line twice.
        ("import b\n", "import b\n"),
        ("first >> second\nsecond\n", "first >> second\nsecond\n"),
        ("first >> second\n# ...\nimport a\n", "import a\n"),
        ("import a\n# ...\nimport a\n", "import a\n"),
        # Left out without a mark: a line, a comment, an empty line.
        (
            'first = Operator(\n    task_id="first",\n)\n',
            'first = Operator(\n    task_id="first",\n)\n',
        ),
        ("with DAG() as dag:\n    first = Operator(\n", "with DAG() as dag:\n    first = Operator(\n"),
        ("import a\nwith DAG() as dag:\n", "import a\nwith DAG() as dag:\n"),
        # A mark, and nothing is left out.
        ("    # First.\n# ...\n    first = Operator(\n", "    first = Operator(\n"),
        # Not as deep as it is there.
        ("with DAG() as dag:\n# First.\n", "with DAG() as dag:\n# First.\n"),
        ("with DAG() as dag:\n    # ...\nfirst >> second\n", "first >> second\n"),
    ],
)
def test_a_false_quotation(quotation: str, part: str) -> None:
    assert not_quoted(quotation, EXAMPLE) == part


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [link or source for link, source in LINK.findall(page.read_text())]
    assert [target for target in targets if not leads_somewhere(page, target)] == []


def leads_somewhere(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = page.parent / name if name else page
    return path.exists() and (not anchor or anchor in anchors(path))


def test_every_example_is_in_the_gallery() -> None:
    page = (ROOT / "docs" / "examples.md").read_text()
    shown = re.findall(r"^<!-- source of (\w+)\.py -->$", page, re.MULTILINE)
    assert sorted(shown) == sorted(path.stem for path in (ROOT / "dags_examples").glob("*.py"))


def anchors(page: Path) -> set[str]:
    """Return the names of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
