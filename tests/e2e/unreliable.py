"""A way to Headwater that fails: a proxy on this machine which loses requests, or their answers."""

from __future__ import annotations

import hashlib
import http.client
import socket
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

WRITES = ("PUT", "PATCH", "POST", "DELETE")
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass(frozen=True)
class Fault:
    """What happens to a request in place of being answered."""

    status: int | None
    """The answer; `None`: the connection ends without one."""

    after: bool
    """Whether Headwater has done it by then."""

    times: int = 1
    """How often, until the request is answered as it should be."""

    retry_after: float | None = None


class Unreliable:
    """Passes requests on to the installation at `target`, and lets every write fail by `fault` before it succeeds.

    The same method, path and body are the same write; what only reads is passed on.
    """

    def __init__(self, target: str, fault: Fault):
        self.fault = fault
        self.attempts: Counter[tuple[str, str, str]] = Counter()
        self.done: list[tuple[str, str, int]] = []
        """Method, path and status of the writes that reached Headwater, in their order."""
        self._lock = threading.Lock()
        at = urlsplit(target)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fails = proxy.fails(self.command, self.path, body)
                passed = None
                if not fails or proxy.fault.after:
                    passed = self.pass_on(body)
                if not fails:
                    self.send(*passed)
                elif proxy.fault.status is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                else:
                    headers = [("Content-Type", "text/html")]
                    if proxy.fault.retry_after is not None:
                        headers.append(("Retry-After", str(proxy.fault.retry_after)))
                    self.send(proxy.fault.status, headers, b"<h1>The gateway is at fault</h1>")

            do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = answer

            def pass_on(self, body: bytes):
                link = http.client.HTTPConnection(at.netloc, timeout=120)
                try:
                    headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
                    link.request(self.command, self.path, body or None, headers)
                    answer = link.getresponse()
                    content = answer.read()
                finally:
                    link.close()
                if self.command in WRITES:
                    with proxy._lock:
                        proxy.done.append((self.command, urlsplit(self.path).path, answer.status))
                return answer.status, answer.getheaders(), content

            def send(self, status: int, headers, content: bytes):
                self.send_response_only(status)
                for name, value in headers:
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Unreliable:
        return self

    def __exit__(self, *_exception) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fails(self, method: str, path: str, body: bytes) -> bool:
        if method not in WRITES:
            return False
        write = (method, urlsplit(path).path, hashlib.sha256(body).hexdigest())
        with self._lock:
            self.attempts[write] += 1
            return self.attempts[write] <= self.fault.times

    def statuses(self, method: str, path_end: str) -> list[int]:
        """What Headwater answered to the writes of one resource or action."""
        return [status for verb, path, status in self.done if verb == method and path.endswith(path_end)]
