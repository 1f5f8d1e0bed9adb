"""Every block of code in the README and docs/ is run by a test, or a comment before it says why it is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
    if "_reference" not in path.parts
}
BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n)?^ *```(\w+)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
RUNS = "runs in: "
REASON = re.compile(r"not run: \S.{8,}")
QUOTED = re.compile(r"# (\w+\.py)\n")
RUN_BY = {
    "docs/how-to/*.md": {"python": "tests/docs/test_how_to.py"},
    "docs/checks.md": dict.fromkeys(("yaml", "console", "json"), "tests/docs/test_checks.py"),
    "docs/estimates.md": {"text": "tests/unit/cli/test_estimate.py"},
    "docs/first-dag.md": dict.fromkeys(("yaml", "csv", "python", "bash"), "tests/docs/test_start.py"),
    "docs/labelling.md": dict.fromkeys(("yaml", "csv", "python", "json"), "tests/docs/test_labelling.py"),
    "docs/statistics.md": {"promql": "tests/docs/test_statistics.py"},
    "docs/start.md": {"bash": "tests/docs/test_start.py"},
    "docs/testing-your-dags.md": dict.fromkeys(("sh", "python"), "tests/docs/test_testing_your_dags.py"),
    "docs/windows.md": dict.fromkeys(("sh", "text", "json", "python"), "tests/docs/test_windows.py"),
}
"""Which test runs the blocks of a page that have no comment, by their language."""


def blocks(name: str) -> list[tuple[str, str, str]]:
    """Return comment, language and text of each block of a page."""
    return BLOCK.findall(PAGES[name])


def problem(name: str, comment: str, language: str, text: str) -> str | None:
    """Return why a block is not as it should be."""
    if comment.startswith(RUNS):
        return None if mentions(comment.removeprefix(RUNS), name) else f"{comment}: that test does not read {name}"
    if comment:
        return None if REASON.fullmatch(comment) else f"give a reason: <!-- not run: ... -->, not <!-- {comment} -->"
    if language == "python" and QUOTED.match(text):
        return None  # tests/docs/test_pages.py compares it with the example, which is run.
    for pattern, tests in RUN_BY.items():
        if Path(name).match(pattern) and language in tests:
            return None
    return "say which test runs it (RUN_BY), or put a comment before it: <!-- not run: the reason -->"


def mentions(test: str, page: str) -> bool:
    """Return whether a test exists and names a page."""
    path = ROOT / test
    return path.is_file() and Path(page).name in path.read_text()


@pytest.mark.parametrize("name", PAGES)
def test_every_block_is_run_or_says_why_not(name: str) -> None:
    assert PAGES[name].count("```") % 2 == 0
    found = [(text[:60], problem(name, comment, language, text)) for comment, language, text in blocks(name)]
    assert [each for each in found if each[1]] == []


@pytest.mark.parametrize(
    ("pattern", "test"), [(page, test) for page, tests in RUN_BY.items() for test in {*tests.values()}]
)
def test_the_tests_that_are_named_read_their_pages(pattern: str, test: str) -> None:
    pages = list(ROOT.glob(pattern))
    assert pages
    assert mentions(test, pattern.replace("/*.md", "/")) or all(mentions(test, page.name) for page in pages)


@pytest.mark.parametrize(
    ("block", "is_well"),
    [
        ("```python\nprint()\n```", False),
        ("```python\n# label_digits.py\nprint()\n```", True),
        ("<!-- not run: needs an account -->\n```python\nprint()\n```", True),
        ("<!-- not run: -->\n```python\nprint()\n```", False),
        ("<!-- later -->\n```bash\nls\n```", False),
        ("<!-- runs in: tests/docs/test_nothing.py -->\n```bash\nls\n```", False),
    ],
)
def test_blocks_without_a_reason_are_found(block: str, is_well: bool) -> None:
    [(comment, language, text)] = BLOCK.findall(block)
    assert (problem("README.md", comment, language, text) is None) == is_well
