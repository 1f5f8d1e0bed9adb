"""Fields that the bodies of several nouns have."""

from __future__ import annotations

from dataclasses import replace

from toloka_airflow.emulator.forms.schema import Field

OVERLAP_MAX = 30_000
DURATION_MAX = 2_147_483_647

TEXT = Field("string")
FLAG = Field("boolean")
ID = Field("id")
OBJECT = Field("object")
OBJECTS = Field("array", each=OBJECT)
COUNT = Field("integer", minimum=0, maximum=500)
# Sent back by clients that read, change and write an object; the API ignores them.
READ_ONLY = Field("any", ignored=True)


def must(field: Field) -> Field:
    """Return the field as a required one."""
    return replace(field, required=True)


STRINGS = Field("array", each=TEXT)
# Texts by language, as in {"EN": "Good job!"}.
TEXTS = Field("object", each=TEXT)
METADATA = Field("object", each=STRINGS)
FIELD_NAMES = Field("array", required=True, each=Field("object", fields={"name": must(TEXT)}))
