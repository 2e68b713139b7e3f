"""Where webhooks go in the tests, the rules that send them there, and patience."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from headwater import Mkio


class Receiver:
    """Listens on this machine and keeps what it is sent. Answers each path with the statuses planned for it, then 204;
    `takes_s`: after so long."""

    def __init__(self, takes_s: float = 0):
        #: Once more are received, they get no answer until there is none.
        self.most: int | None = None
        self.received: list[tuple[str, dict, dict]] = []
        self.planned: dict[str, list[int]] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()} | {"raw": body}
                receiver.received.append((self.path, headers, json.loads(body)))
                time.sleep(takes_s)
                while receiver.most is not None and len(receiver.received) > receiver.most:
                    time.sleep(0.05)
                plan = receiver.planned.get(self.path, [])
                self.send_response(plan.pop(0) if plan else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def events(self, path: str, kind: str) -> list[dict]:
        return [event for at, _, event in list(self.received) if at == path and event["type"] == kind]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def eventually(what, timeout_s: float = 180):
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found


def rules_of(connection) -> Mkio:
    return Mkio(connection, prefix=f"/api/v1/projects/{connection.project}/webhook/rules")


def put_rule(rules: Mkio, name: str, url: str, events: list[str], **spec) -> dict:
    body = {"spec": {"enabled": True, "url": url, "events": events} | spec}
    return rules.call("PUT", f"/{name}", body)


def log_of(rules: Mkio, name: str) -> list[dict]:
    return rules.call("GET", f"/{name}/events")["value"]
