"""What setup.cfg cannot say: the README for a package index, where links to files of the repository lead nowhere."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")
CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def long_description() -> str:
    """Return the README with links to the documentation site; what is not on it is named without a link."""
    parts = CODE.split((ROOT / "README.md").read_text(encoding="utf-8"))
    parts[::2] = [LINK.sub(_absolute, part) for part in parts[::2]]
    return "".join(parts)


def _absolute(link: re.Match[str]) -> str:
    mark, text, path, anchor = link.groups(default="")
    page = _page(path)
    return f"{mark}[{text}]({_documentation()}{page}{anchor})" if page else text


def _page(path: str) -> str | None:
    """Return what the site makes of a file; see docs/conf.py."""
    if path.startswith("docs/images/"):
        return path.replace("docs/images/", "_images/")
    if path.startswith("docs/") and path.endswith(".md"):
        return f"{path.removeprefix('docs/').removesuffix('.md')}.html"
    if path.startswith("dags_examples/"):
        return "examples.html"
    return "changelog.html" if path == "CHANGELOG.md" else None


def _documentation() -> str:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    urls = dict(re.findall(r"^(.+?) = (.+)$", config["metadata"]["project_urls"], re.MULTILINE))
    return urls["Documentation"]


if __name__ == "__main__":  # as a build runs it
    setup(long_description=long_description())
