"""JSON as it is written to files."""

from __future__ import annotations

import json
from typing import Any


def compact_json(value: Any, *, allow_nan: bool = True) -> str:
    """
    Return a value as JSON that can be encoded, with halves of characters as escapes; people do send such.

    :raises ValueError: For ``NaN`` and infinity, unless they are allowed.
    :raises TypeError: For what JSON does not have.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=allow_nan, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text
