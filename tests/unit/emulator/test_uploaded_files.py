"""Where a project asks for files, people send real ones."""

from __future__ import annotations

import io
import struct
import wave
import zlib

from toloka_airflow.emulator.people.crowd import CrowdSettings

FIELDS = {"photo": "image/png", "voice_sample": "audio/wav", "document": "text/plain"}
SPEC = {
    "input_spec": {"image": {"type": "url"}},
    "output_spec": {
        **{name: {"type": "file"} for name in FIELDS},
        "more": {"type": "array_file"},
        "result": {"type": "string", "allowed_values": ["cat", "dog", "other"]},
    },
}
CROWD = CrowdSettings(size=5, skip_rate=0.1, expire_rate=0)


def answered(make_api, **options):
    api = make_api(crowd=CROWD, **options)
    pool_id = api.add_pool(api.add_project(task_spec=SPEC), tasks=6)
    api.move(pool_id, "open")
    api.server.clock.advance(24 * 3600)
    return api, pool_id


def contents(api, pool_id):
    """Return what was sent, by person, task and field."""
    sent = {}
    for item in api.assignments(pool_id, status="ACCEPTED"):
        for task, solution in zip(item["tasks"], item["solutions"], strict=True):
            for name, value in solution["output_values"].items():
                if name != "result":
                    [file_id] = value if isinstance(value, list) else [value]
                    answer = api("GET", f"/attachments/{file_id}/download")
                    sent[item["user_id"], task["id"], name] = answer.headers["Content-Type"], answer.content
    return sent


def test_values_of_files_are_the_ids_of_attachments(make_api):
    api, pool_id = answered(make_api)
    items = api.assignments(pool_id)
    assert {item["status"] for item in items} == {"ACCEPTED", "SKIPPED"}
    kept = {item["id"]: item for item in api.get("/attachments", pool_id=pool_id, limit=100)["items"]}
    assert len(kept) == 72
    accepted = [item for item in items if item["status"] == "ACCEPTED"]
    for item in accepted:
        found = {file["id"]: file for file in api.get("/attachments", assignment_id=item["id"])["items"]}
        values = [solution["output_values"] for solution in item["solutions"]]
        assert found.keys() == {told[name] for told in values for name in FIELDS} | {told["more"][0] for told in values}
        for file in found.values():
            assert file["created"] == item["submitted"]
            assert file["details"] == {"user_id": item["user_id"], "assignment_id": item["id"], "pool_id": pool_id}
        for told in values:
            assert {name: found[told[name]]["media_type"] for name in FIELDS} == FIELDS


def test_files_are_what_they_say_they_are(make_api):
    sent = contents(*answered(make_api))
    assert len(sent) == 6 * 3 * 4
    for (_, _, name), (media_type, content) in sent.items():
        assert 0 < len(content) < 2_000
        if name in FIELDS:
            assert media_type.partition(";")[0] == FIELDS[name]
        if media_type == "image/png":
            check_png(content)
        elif media_type == "audio/wav":
            with wave.open(io.BytesIO(content)) as sound:
                assert sound.getnframes() == 400
                assert len(set(sound.readframes(400))) > 5
        else:
            assert len(content.decode("ascii").split()) == 12
    assert len({content for _, content in sent.values()}) > 50


def check_png(content):
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    rest, chunks = content[8:], {}
    while rest:
        size, name = struct.unpack(">I4s", rest[:8])
        chunks[name] = rest[8 : 8 + size]
        assert struct.unpack(">I", rest[8 + size : 12 + size]) == (zlib.crc32(rest[4 : 8 + size]),)
        rest = rest[12 + size :]
    width, height, depth, colours = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colours) == (8, 2)
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)


def test_the_same_seed_gives_the_same_files_also_after_a_snapshot(make_api):
    api, pool_id = answered(make_api)
    sent = contents(api, pool_id)
    assert contents(*answered(make_api)) == sent
    assert contents(*answered(make_api, seed=7)) != sent
    other = make_api(seed=9)
    assert other("PUT", "/_emulator/snapshot", json=api("GET", "/_emulator/snapshot").json()).status_code == 204
    assert contents(other, pool_id) == sent
