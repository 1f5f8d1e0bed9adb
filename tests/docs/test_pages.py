"""What the README and docs/ quote is in the examples, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
QUOTED = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUOTES = [(page.name, name, text) for page in PAGES for name, text in QUOTED.findall(page.read_text())]
LINK = re.compile(r"\]\((?!https?:)([^)]+)\)|src=\"([^\"]+)\"")


@pytest.mark.parametrize(("page", "name", "text"), QUOTES, ids=lambda value: value if len(value) < 30 else "")
def test_what_is_quoted_is_in_the_example(page: str, name: str, text: str) -> None:
    lines = {line.strip() for line in (ROOT / "dags_examples" / name).read_text().splitlines()}
    assert [line for line in text.splitlines() if line.strip() not in lines] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [link or source for link, source in LINK.findall(page.read_text())]
    assert [target for target in targets if not leads_somewhere(page, target)] == []


def leads_somewhere(page: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    path = page.parent / name if name else page
    return path.exists() and (not anchor or anchor in anchors(path))


def anchors(page: Path) -> set[str]:
    """Return the names of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
