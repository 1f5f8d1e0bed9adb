"""Files that people send where a project asks for one: small, real, and the same for the same seed."""

from __future__ import annotations

import io
import json
import math
import struct
import wave
import zlib
from hashlib import blake2b
from typing import TYPE_CHECKING

from toloka_airflow.emulator.people.truth import WORDS
from toloka_airflow.emulator.resources import attachments

if TYPE_CHECKING:
    from collections.abc import Callable

    from toloka_airflow.emulator.world.entities import Json
    from toloka_airflow.emulator.world.items import Assignment, Task
    from toloka_airflow.emulator.world.world import World

SIDE = 8
RATE = 8_000
SAMPLES = 400


def upload(world: World, assignment: Assignment, task: Task, values: Json, output_spec: Json) -> Json:
    """Return the answer with the ids of files in the fields of type `file`; the files are kept."""
    return values | {
        name: _attach(world, assignment, task, name, kind.startswith("array_"))
        for name, spec in output_spec.items()
        if (kind := str(spec["type"]).lower()) in ("file", "array_file")
    }


def _attach(world: World, assignment: Assignment, task: Task, field: str, in_array: bool) -> str | list[str]:
    key = json.dumps([world.seed, assignment.user_id, task.id, field]).encode()
    number = int.from_bytes(blake2b(key, digest_size=8).digest())
    suffix, media_type, make = _kind_of(field, number)
    # As from a phone: another file may have the same name.
    name = f"{field}_{number % 1000:03d}.{suffix}"
    made = attachments.add(world, assignment, name, media_type, make(number))
    return [made.id] if in_array else made.id


def _kind_of(field: str, number: int) -> tuple[str, str, Callable[[int], bytes]]:
    for kind, words in HINTS.items():
        if any(word in field.lower() for word in words):
            return KINDS[kind]
    return list(KINDS.values())[number % len(KINDS)]


def _png(number: int) -> bytes:
    """Return a square of one colour."""
    row = b"\0" + number.to_bytes(8)[:3] * SIDE
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * SIDE)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def _wav(number: int) -> bytes:
    """Return a short tone."""
    step = 2 * math.pi * (200 + number % 800) / RATE
    samples = (round(10_000 * math.sin(step * i)) for i in range(SAMPLES))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(struct.pack(f"<{SAMPLES}h", *samples))
    return file.getvalue()


def _text(number: int) -> bytes:
    """Return some words."""
    return " ".join(WORDS[number >> 3 * i & 7] for i in range(12)).encode() + b"\n"


KINDS: dict[str, tuple[str, str, Callable[[int], bytes]]] = {
    "image": ("png", "image/png", _png),
    "sound": ("wav", "audio/wav", _wav),
    "text": ("txt", "text/plain", _text),
}
# What a field is called tells what people send; for any other name, it may be each of the three.
HINTS = {
    "image": ("image", "photo", "picture", "screenshot"),
    "sound": ("audio", "sound", "voice", "record", "speech"),
    "text": ("text", "document"),
}
