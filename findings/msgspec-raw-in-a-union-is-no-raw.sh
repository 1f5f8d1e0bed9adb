#!/usr/bin/env bash
# One would guess that a field that holds anything at all, or nothing, is `Raw | None` for msgspec: `Raw` takes every
# value, so that the union does.
#
# In msgspec 0.22.0 a `Raw` inside of a union is passed over without a word when the decoder is made: `Raw | None` takes
# null and nothing else, `int | Raw` integers only, and the error for every other value does not name Raw. By itself it
# takes everything, null included, so that a default of `Raw()` or UNSET is the way to say "or nothing".
#
# Seen on 2026-11-28 with msgspec 0.22.0, Python 3.11.
# Output seen:
#   Raw: 1 ok, null ok, {"a": 1} ok
#   Raw | None: 1 refused (Expected `null`, got `int`), null ok, {"a": 1} refused (Expected `null`, got `object`)
#   int | Raw: 1 ok, null refused (Expected `int`, got `null`), {"a": 1} refused (Expected `int`, got `object`)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0

cat > "$work/raw.py" <<'PYTHON'
import msgspec

TYPES = {"Raw": msgspec.Raw, "Raw | None": msgspec.Raw | None, "int | Raw": int | msgspec.Raw}


def outcome(value, kind):
    try:
        msgspec.json.decode(value, type=kind)
    except msgspec.ValidationError as error:
        return f"refused ({error})"
    return "ok"


for name, kind in TYPES.items():
    print(f"{name}: " + ", ".join(f"{value} {outcome(value, kind)}" for value in ("1", "null", '{"a": 1}')))
PYTHON

"$work/venv/bin/python" "$work/raw.py" | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
