"""JSON as it is written to files."""

from __future__ import annotations

import pytest

from toloka_airflow.storage.json_text import compact_json


def test_halves_of_characters() -> None:
    assert compact_json({"v": "Ünï"}) == '{"v":"Ünï"}'
    assert compact_json({"v": "Ünï \ud83d"}) == '{"v":"\\u00dcn\\u00ef \\ud83d"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("nan")]])
def test_numbers_that_json_does_not_have(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        compact_json(value, allow_nan=False)
