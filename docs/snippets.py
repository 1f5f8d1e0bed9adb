"""
Check the types of all Python that README.md and docs/ show, as `mypy --strict` does for who copies it.

The blocks of a page are one module, in their order; those that begin with the name of a file, ``# dags/labelling.py``,
are that module. Those of a folder with an ``index.md`` are one module, in the order of its table of contents. What is
quoted from ``dags_examples/`` is not checked again. A block behind ``<!-- not typed: reason -->`` is left out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^(<!-- not typed: .+ -->\n)?```python\n(?:# (\S+\.py)\n)?(.*?)^```$", re.MULTILINE | re.DOTALL)
CONTENTS = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GIVEN = "from typing import Any\n\nFOLDER = '{{ params.folder }}'\npool_id: Any\nproject_id: Any\ntraining_id: Any\n"
"""What the pages of a folder take for granted."""
REPORT = re.compile(r"(\S+?\.py):(\d+): (.*)")


@dataclass(frozen=True)
class Snippet:
    """A block of code, the module that it belongs to, and where it stands."""

    module: str
    page: Path
    line: int
    code: str


def pages() -> Iterator[tuple[str, Path]]:
    """Iterate over the pages, each with the module that its blocks without a name belong to."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        yield f"page_{page.stem.replace('-', '_').lower()}.py", page
    for index in sorted((ROOT / "docs").glob("*/index.md")):
        names = [name.strip() for contents in CONTENTS.findall(index.read_text()) for name in contents.splitlines()]
        for page in (index.with_name(f"{name}.md") for name in names):
            if page.exists():
                yield f"pages_{index.parent.name.replace('-', '_')}.py", page


def snippets() -> Iterator[Snippet]:
    """Iterate over the blocks that are checked."""
    for module, page in pages():
        text = page.read_text()
        for block in BLOCK.finditer(text):
            not_typed, name, code = block.groups()
            if not_typed or (name and (ROOT / "dags_examples" / name).exists()):
                continue
            yield Snippet(name or module, page, text.count("\n", 0, block.start(3)) + 1, code)


def write(folder: Path) -> dict[str, list[tuple[Path, int]]]:
    """Write the modules, and return for each where its lines stand in the pages."""
    lines: dict[str, list[tuple[Path, int]]] = {}
    for snippet in snippets():
        path = folder / snippet.module
        path.parent.mkdir(parents=True, exist_ok=True)
        if snippet.module not in lines:
            given = GIVEN if snippet.module.startswith("pages_") else ""
            path.write_text(given)
            lines[snippet.module] = [(snippet.page, 1)] * given.count("\n")
        with path.open("a") as file:
            file.write(snippet.code)
        count = snippet.code.count("\n")
        lines[snippet.module] += [(snippet.page, snippet.line + i) for i in range(count)]
    return lines


def main() -> int:
    """Check all snippets; print what is wrong by page and line."""
    with TemporaryDirectory() as folder:
        lines = write(Path(folder))
        options = ["--config-file", str(ROOT / "pyproject.toml"), "--explicit-package-bases"]
        command = [sys.executable, "-m", "mypy", *options, *lines]
        env = {**os.environ, "MYPYPATH": f"{folder}:{ROOT}"}
        done = subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True, check=False)  # noqa: S603
    for line in done.stdout.splitlines():
        found = REPORT.match(line)
        if found is None or found[1] not in lines:
            print(line)
        else:
            page, number = lines[found[1]][int(found[2]) - 1]
            print(f"{page.relative_to(ROOT)}:{number}: {found[3]}")
    print(done.stderr, end="", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
