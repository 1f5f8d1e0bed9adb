"""
The field's words instead of a dialect, in names, docstrings and messages; `CONTRIBUTING.md` has the table for people.

Names are read by `ast` where they are defined, split at underscores and camel case. What a name is used for afterwards
is not read: so the names of others, such as the builtin ``round``, need no exception. Docstrings and strings with more
than one word in them are read as text. Comments are for reviewers.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CHECKED = "toloka_airflow", "dags_examples", "demo"


@dataclass(frozen=True)
class Row:
    """
    A row of the table.

    :param instead: The right column.
    :param names: What no name may contain: words, or several that follow each other, with spaces between the entries.
    :param text: What no docstring and no message may contain, as regular expressions. What is plain English besides,
        such as "the whole file" or "in this order", is not among it.
    :param examples: A phrase for each of these, to test the test.
    """

    instead: str
    names: str
    text: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()


ROWS = {
    "look, see, ask, `Looks`": Row(
        "poll, fetch (I/O), cached (from a list), `Poller`",
        names="look looks looked looking see sees seen saw ask asks asked asking",
        text=(r"look(?:s|ed|ing)?", r"sees?", r"seen", r"saw", r"ask(?:s|ed|ing)?"),
        examples=(
            *("look at it", "it looks", "was looked up", "Looking for it"),
            *("see it", "it sees", "was seen", "it saw"),
            *("Ask for it", "it asks", "was asked", "asking it"),
        ),
    ),
    "keep up, news, wake, tell, going on, differ": Row(
        "run, notify, pending, has_changed",
        names="keep_up keeps_up kept_up keeping_up news wake wakes woken woke waking tell tells told telling "
        "go_on goes_on going_on gone_on differ differs",
        text=(
            *(r"keep(?:s|ing)? (?:\w+ ){0,2}up", r"kept (?:\w+ ){0,2}up"),
            *(r"news", r"w[ao]kes?", r"woken", r"waking", r"tell(?:s|ing)?", r"told"),
            *(r"go(?:es|ing|ne)? on", r"went on"),
        ),
        examples=(
            *("keep it up", "keeps up", "keeping the lists up", "kept up", "there is news"),
            *("wake it", "it wakes", "it woke", "was woken", "waking it"),
            *("tell it", "it tells", "telling it", "was told"),
            *("go on", "it goes on", "going on", "was gone on with", "it went on"),
        ),
    ),
    "`Watch` (three meanings)": Row(
        "`Subscription`; the state of a poking sensor by its own name", names="watch watches watched watching"
    ),
    '`PoolRound`, "for somebody else", "left alone"': Row(
        'pool opening, "opened again by another run", "not closed: …"',
        names="pool_round pool_rounds somebody_else left_alone",
        text=(r"for somebody else", r"(?:left|leaves?|leaving) (?:\w+ ){0,3}alone"),
        examples=(
            *("open for somebody else", "it is left alone", "leave the pool alone"),
            *("leaves it alone", "leaving it alone"),
        ),
    ),
    "`closing`, `close_at_once`": Row(
        "close on kill, close and wait",
        names="closing closings close_at_once",
        text=(r"close_at_once",),
        examples=("call `close_at_once`",),
    ),
    "`through_update`": Row(
        "`ignore_close_for_update`",
        names="through_update",
        text=(r"through_update",),
        examples=("set `through_update`",),
    ),
    "`REFUSALS`, `MAY_PASS`, `PATIENCE`": Row(
        "max consecutive failures, transient errors, `…_TIMEOUT`",
        names="refusals may_pass patience impatient",
        text=(r"refusals", r"may pass", r"patience", r"(?:im)?patient(?:ly)?"),
        examples=("three refusals", "errors that may pass", "with patience", "a patient client", "waits impatiently"),
    ),
    "pieces, `Place`, `Earlier`, `Order`, `Outcome`": Row(
        "batches, batch key, previous upload, options, batch result",
        names="piece pieces place places earlier order outcome outcomes",
        text=(r"pieces?",),
        examples=("in pieces", "a piece"),
    ),
    "holder, credit, in the way, explained": Row(
        "blocking operation, adopted operation, blockers",
        names="holder holders credit credits in_the_way explained",
        text=(r"holders?", r"credit(?:s|ed)?", r"in the way"),
        examples=("the holder", "two holders", "its credit", "it credits", "it is credited", "pools in the way"),
    ),
    "`moment`, `whole`, `dollars`": Row("parse_datetime, parse_int, parse_money", names="moment moments whole dollars"),
    "room, house, walk, arrow (in the project)": Row(
        "package, architecture, call path, import rule",
        names="room rooms house houses walk walks arrow arrows",
        text=(r"rooms?", r"houses?", r"walks?", r"arrows?"),
        examples=(
            *("a room", "two rooms", "a house", "two houses"),
            *("a walk", "it walks", "an arrow", "against the arrows"),
        ),
    ),
}

EXCEPTIONS = {
    "toloka_airflow/transfer/": "reshaped by a later issue, words and all",
    "toloka_airflow/emulator/": "reshaped by a later issue, words and all",
    "holder_finished": "stored as the next method of deferred tasks, which resume by it after an upgrade",
}
"""What may have such words, and why: folders and files, which are not read at all, and names. Only ever shortened."""
NOT_READ = tuple(name for name in EXCEPTIONS if "/" in name)

CROSS_REFERENCE = re.compile(r"\bsee (?=[`'\"]|https?:|docs/|below\b|above\b)", re.IGNORECASE)
"""``See `X` ``, as docstrings refer to each other."""


class Finding(NamedTuple):
    """A word of the left column, and where it is."""

    line: int
    word: str
    where: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.word!r} in {self.where!r}"


def split(name: str) -> str:
    """Return the words of a name in lower case, between underscores."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return f"_{'_'.join(words).lower()}_"


def bad_names(names: Iterable[tuple[int, str]]) -> Iterator[Finding]:
    """Yield what names contain of the left column."""
    for line, name in names:
        words = split(name)
        for row in ROWS.values():
            yield from (
                Finding(line, word, name)
                for word in row.names.split()
                if f"_{word}_" in words and name not in EXCEPTIONS
            )


TEXT = re.compile(rf"(?<![\w-])(?:{'|'.join(phrase for row in ROWS.values() for phrase in row.text)})(?![\w-])", re.I)


def bad_texts(texts: Iterable[tuple[int, str]]) -> Iterator[Finding]:
    """Yield what texts contain of the left column."""
    for line, text in texts:
        plain = CROSS_REFERENCE.sub("", " ".join(text.split()))
        for name in EXCEPTIONS:
            plain = plain.replace(name, "")
        yield from (
            Finding(line, found[0], plain[max(0, found.start() - 30) : found.end() + 30])
            for found in TEXT.finditer(plain)
        )


def names_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the names that a module defines: functions, classes, arguments, variables, attributes, renamed imports."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield line, node.name
        elif isinstance(node, ast.arg):
            yield line, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield line, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield line, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield line, node.asname
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield line, node.name


def texts_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield docstrings, and strings with more than one word, as people read them; an f-string is one text."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield from [(node.lineno, node.value)] if re.search(r"\w\s+\S", node.value) else []


def findings(source: str, path: str) -> list[Finding]:
    """Return all words of the left column in a module."""
    tree = ast.parse(source)
    modules = [(0, part) for part in Path(path).with_suffix("").parts]
    return sorted([*bad_names([*modules, *names_of(tree)]), *bad_texts(texts_of(tree))])


FILES = sorted(str(path.relative_to(PROJECT)) for folder in CHECKED for path in (PROJECT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", [path for path in FILES if not path.startswith(NOT_READ)])
def test_words(path: str) -> None:
    found = findings((PROJECT / path).read_text(), path)
    assert not found, "\n".join([f"{path} has words of the left column of the table:", *map(str, found)])


@pytest.mark.parametrize("name", [*EXCEPTIONS])
def test_every_exception_is_needed(name: str) -> None:
    sources = {path: (PROJECT / path).read_text() for path in FILES}
    if "/" in name:
        read = {path: source for path, source in sources.items() if path.startswith(name)}
        assert any(findings(source, path) for path, source in read.items()), f"{name} needs no exception"
    else:
        is_used = any(re.search(rf"\b{name}\b", source) for source in sources.values())
        assert is_used, f"nothing is called {name} any more"


def test_contributing_has_the_same_table() -> None:
    [section] = re.findall(r"\n## Words\n(.*?)\n## ", (PROJECT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    assert dict(rows[2:]) == {left: row.instead for left, row in ROWS.items()}


WORDS = [word for row in ROWS.values() for word in row.names.split()]
PHRASES = [phrase for row in ROWS.values() for phrase in row.examples]


class TestTheTest:
    """It finds every word of the table wherever it is, and takes no offence at plain English."""

    @pytest.mark.parametrize(
        "code",
        [
            "def {0}(): ...",
            "async def _{0}_now(): ...",
            "def of(a_{0}): ...",
            "def of(*, {0}=1): ...",
            "class {1}Error(Exception): ...",
            "{2} = 1",
            "{0}: int = 1",
            "pool.{0} = 1",
            "for {0} in (): ...",
            "[1 for a_{0} in ()]",
            "if {0} := 1: ...",
            "import json as {0}",
            "from json import loads as its_{0}",
            "with open('') as {0}: ...",
            "try: ...\nexcept OSError as {0}: ...",
            "match 1:\n    case {0}: ...",
        ],
    )
    def test_names(self, code: str) -> None:
        for word in WORDS:
            camel = "".join(part.capitalize() for part in word.split("_"))
            found = findings(code.format(word, camel, word.upper()), "a.py")
            assert [finding.word for finding in found] == [word]

    @pytest.mark.parametrize("path", ["toloka_airflow/{0}/of.py", "toloka_airflow/the_{0}.py"])
    def test_modules(self, path: str) -> None:
        for word in WORDS:
            assert [found.word for found in findings("", path.format(word))] == [word]

    @pytest.mark.parametrize(
        "code",
        [
            '"""{0}."""',
            "def of():\n    '''Pool, {0}, for once.'''",
            "class It:\n    '''\n    Do it.\n\n    :param pool: {0}\n    '''",
            "NAME = 1\n'''{0} again'''",
            "log.info('Pool %s: {0}', 21)",
            "raise ValueError(f'{{pool}}: {0} {{again}}')",
        ],
    )
    def test_phrases(self, code: str) -> None:
        for phrase in PHRASES:
            assert len(findings(code.format(phrase), "a.py")) == 1, phrase

    def test_every_expression_has_an_example(self) -> None:
        for row in ROWS.values():
            for text in row.text:
                assert any(re.search(text, phrase, re.IGNORECASE) for phrase in row.examples), text

    @pytest.mark.parametrize(
        "code",
        [
            "round(1.5)",
            "from contextlib import closing\nwith closing(file): ...",
            "pool.place(order=1)",
            "from airflow.sdk import AssetWatcher\npool_asset('21', watchers=[AssetWatcher()])",
            "'''See `PoolSensor`, in this order; see https://toloka.dev/.'''",
            "'''Return the whole file at once, of an earlier attempt, in its place: 5 US dollars a round.'''",
            "'''Wait for the outcome of the closing; they differ. It is explained there, at this moment.'''",
            "'''The method `holder_finished` has a placeholder, a watcher and credentials, and overlooks a seed.'''",
            "def holder_finished(): ...",
            "given['through_update']",
            "# Look, it asks.",
        ],
    )
    def test_plain_english_and_the_names_of_others(self, code: str) -> None:
        assert findings(code, "a.py") == []
