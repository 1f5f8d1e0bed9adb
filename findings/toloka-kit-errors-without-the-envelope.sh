#!/usr/bin/env bash
# One would guess that toloka-kit, the official client, turns every error of the API that its reference documents into
# one of its own exceptions, which has the status: `ApiError`, or a kind of it.
#
# toloka-kit 1.2.3 does so only for bodies with a `code` of their own. The reference documents one without, for two equal
# bonuses in a request: status 409, and an object of the fields that are in conflict. That is a KeyError which says
# 'code', and nothing of status or message. A page of a gateway, status 502, is a JSONDecodeError of the module json. Who
# catches `ApiError`, or looks whether an error passes by itself, misses both.
#
# Seen on 2026-11-29 with toloka-kit 1.2.3, Python 3.11.
# Output seen:
#   409 with an envelope: ConflictStateApiError, an ApiError with status 409
#   409 as documented for bonuses: KeyError 'code'
#   502 of a gateway: JSONDecodeError
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check toloka-kit==1.2.3 httpx==0.27.2 cattrs==25.3.0 attrs==26.1.0 setuptools==80.10.2

cat > "$work/errors.py" <<'PYTHON'
import json
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from toloka.client import TolokaClient, UserBonus
from toloka.client.exceptions import ApiError
from toloka.client.user_bonus import UserBonusCreateRequestParameters

ENVELOPE = {"request_id": "1", "code": "CONFLICT_STATE", "message": "Conflict", "payload": None}
BARE = {"user_id": {"code": "ENTITY_CONFLICT", "message": "It is not allowed to apply multiple bonuses"}}
ANSWERS = {
    "409 with an envelope": (409, "application/json", json.dumps(ENVELOPE)),
    "409 as documented for bonuses": (409, "application/json", json.dumps(BARE)),
    "502 of a gateway": (502, "text/html", "<html><body>Bad gateway</body></html>"),
}


class Handler(BaseHTTPRequestHandler):
    answer = None

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        status, kind, body = Handler.answer
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = TolokaClient("token", url=f"http://127.0.0.1:{server.server_port}", retries=0)
bonus = UserBonus(user_id="person", amount=Decimal("0.5"), without_message=True)
for what, Handler.answer in ANSWERS.items():
    try:
        client.create_user_bonus(bonus, UserBonusCreateRequestParameters(async_mode=False))
    except ApiError as exc:
        print(f"{what}: {type(exc).__name__}, an ApiError with status {exc.status_code}")
    except KeyError as exc:
        print(f"{what}: KeyError {exc}")
    except Exception as exc:
        print(f"{what}: {type(exc).__name__}")
PYTHON

"$work/venv/bin/python" -W ignore "$work/errors.py" | tee "$work/seen"
sed -n 's/^#   //p' "${BASH_SOURCE[0]}" | diff - "$work/seen"
