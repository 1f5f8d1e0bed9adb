"""A JSON array that is read item by item, with no more of its file in memory than that takes."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from typing import Any

from toloka_airflow.transfer.strict_json import DuplicateKeyError, StrictDecoder

_SPACE = re.compile(r"[ \t\r\n]*")


class JsonArrayError(ValueError):
    """Report a file that holds no JSON array, or breaks off; says where."""


class JsonArray:
    """
    Read an array of objects from its beginning to the end of the file; a bare number in it may be cut in two.

    :param read: Returns the next bytes of the file; none at its end.
    :param max_size: Characters of an item, at most.
    """

    def __init__(self, read: Callable[[], bytes], max_size: int) -> None:
        self.number = 0
        """Of the item that was returned last, or cannot be read, counted from 1."""
        self._read_bytes, self._max_size = read, max_size
        self._json = StrictDecoder()
        self._utf_8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._position = "", 0
        self._bytes, self._is_all = 0, False
        # Of what was read before the text: lines, and characters of the last one.
        self._lines = self._columns = 0

    def next_item(self) -> tuple[Any, str] | None:
        """
        Return the next item with its text; nothing at the end.

        :raises JsonArrayError: If it cannot be read.
        """
        if not self.number:
            self._go_behind("[")
            is_last = self._next_character() == "]"
            self._position += is_last
        else:
            is_last = self._go_behind(",]") == "]"
        if is_last:
            self._go_behind("")
            return None
        self.number += 1
        self._next_character()
        while True:
            try:
                item, end = self._json.decode_at(self._text, self._position)
            except (ValueError, RecursionError) as exc:
                # It may be that only the text ends here, and not the item.
                if self._is_too_long or not self._read():
                    raise self._error(exc) from exc
            else:
                text, self._position = self._text[self._position : end], end
                return item, text

    @property
    def _is_too_long(self) -> bool:
        return len(self._text) - self._position > self._max_size

    def _go_behind(self, characters: str) -> str:
        """Return the next character, which must be one of these; if these are none, the file must end."""
        found = self._next_character()
        if found not in characters or bool(found) != bool(characters):
            wanted = " or ".join(characters) or "the end of the file"
            raise self._error(json.JSONDecodeError(f"Expecting {wanted}", self._text, self._position))
        self._position += 1
        return found

    def _next_character(self) -> str:
        """Skip white space, and return what is behind it; nothing at the end of the file."""
        while True:
            self._position = _SPACE.match(self._text, self._position).end()  # type: ignore[union-attr]
            if self._position < len(self._text) or not self._read():
                return self._text[self._position : self._position + 1]

    def _read(self) -> bool:
        """Replace the text that is done with by more of it; say whether there was any."""
        if self._is_all:
            return False
        done, self._text, self._position = self._text[: self._position], self._text[self._position :], 0
        self._lines += done.count("\n")
        self._columns = len(done) - done.rfind("\n") - 1 + (0 if "\n" in done else self._columns)
        block = self._read_bytes()
        self._bytes += len(block)
        self._is_all = not block
        try:
            self._text += self._utf_8.decode(block, final=self._is_all)
        except UnicodeDecodeError as exc:
            number = self._bytes - len(exc.object) + exc.start + 1
            raise JsonArrayError(f"it is not UTF-8: byte {number} of the file is {exc.object[exc.start]:#04x}") from exc
        return True

    def _error(self, exc: ValueError | RecursionError) -> JsonArrayError:
        """Return the error that says where in the file it is."""
        message, position = str(exc), self._position
        if isinstance(exc, json.JSONDecodeError):
            message, position = exc.msg, exc.pos
        if not isinstance(exc, DuplicateKeyError):
            message = f"it is not JSON: {message}"
        if self._is_too_long:
            message = f"it is longer than {self._max_size} characters, or {message}"
        lines = self._text.count("\n", 0, position)
        column = position - self._text.rfind("\n", 0, position) + (0 if lines else self._columns)
        return JsonArrayError(f"{message} (line {self._lines + lines + 1}, column {column})")
