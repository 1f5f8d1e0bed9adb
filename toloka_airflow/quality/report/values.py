"""How a value of an input or an answer is shown: as text, or as an image that is within the page itself."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MOST_TEXT = 400
MOST_IMAGE = 500_000
"""Letters of an image; a larger one is not shown, as the page is to stay small."""
_IMAGE = re.compile(r"data:image/(?:avif|bmp|gif|jpeg|jpg|png|svg\+xml|webp);base64,[A-Za-z0-9+/]+={0,2}")
_ADDRESS = re.compile(r"https?://[^\s<>\"'`\\^{}|]+", re.IGNORECASE)
_NAME_OF_IMAGE = re.compile(r"\.(avif|bmp|gif|jpe?g|png|svg|webp)([?#]|\Z)", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Among them what turns the direction of the letters behind it, such as those of this page."""


@dataclass(frozen=True)
class Shown:
    """
    A value as a page shows it; one of image, link and text alone.

    :param image: A data URI of an image.
    :param link: An address that a reader may follow; the page itself does not.
    :param note: What a reader should know of it.
    """

    name: str
    text: str
    image: str | None = None
    link: str | None = None
    note: str = ""


class Images:
    """
    Choose which images a page holds.

    :param most: Letters of all images together.
    """

    def __init__(self, most: int) -> None:
        self._left = most

    def shown(self, name: str, value: Any, *, may_link: bool, most: int = MOST_TEXT) -> Shown:
        """
        Return how a value is shown.

        :param may_link: Whether an address may be a link: those of the inputs are the requester's own, while nobody
            should follow what a stranger has answered.
        :param most: Letters of a text.
        """
        if not isinstance(value, str):
            return Shown(name, plain_text(value, most))
        if value[:11].lower() == "data:image/":
            return self._image(name, value)
        if len(value) > MOST_TEXT or not _ADDRESS.fullmatch(value):
            return Shown(name, plain_text(value, most))
        note = "an image, which this page does not fetch" if _NAME_OF_IMAGE.search(value) else ""
        return Shown(name, value, link=value if may_link else None, note=note)

    def _image(self, name: str, value: str) -> Shown:
        size = f"an image of {len(value) / 1000:,.0f} kB"
        if len(value) > MOST_IMAGE or len(value) > self._left:
            return Shown(name, plain_text(value, 40), note=f"{size}, too large for this page")
        if not _IMAGE.fullmatch(value):
            return Shown(name, plain_text(value, 40), note="not an image that can be shown")
        self._left -= len(value)
        return Shown(name, "", image=value)


def plain_text(value: Any, most: int = MOST_TEXT) -> str:
    """Return a value as text that is not too long; what is not a letter or a space, such as half a letter, is shown."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "a value that is nested too deeply to be shown"
    if len(text) > most:
        text = f"{text[:most]}… ({len(text):,} characters)"
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
