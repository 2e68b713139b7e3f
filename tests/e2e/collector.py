"""Takes what is exported of traces, and reads it by OpenTelemetry's own schema."""

from __future__ import annotations

import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse


class Span:
    def __init__(self, service: str, span):
        self.service, self.name, self.kind = service, span.name, span.kind
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.said = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}
        self.begun, self.ended, self.failed = span.start_time_unix_nano, span.end_time_unix_nano, span.status.code == 2

    def __repr__(self) -> str:
        return f"{self.service} {self.name!r} {self.id} in {self.parent} {self.said}"


class Collector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self):
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                assert self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
                collector.take(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.spans: list[Span] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            names = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [Span(names["service.name"], span) for span in scope.spans]

    def until(self, what: str, there, patience_s: float = 90):
        deadline = time.monotonic() + patience_s
        while True:
            found = there(list(self.spans))
            if found:
                return found
            assert time.monotonic() < deadline, f"{what}: not among {self.spans[-50:]}"
            time.sleep(0.1)


def traced() -> tuple[str, str, dict[str, str]]:
    """A trace and a span of somebody else's, and the headers that tell of them."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, {"traceparent": f"00-{trace}-{span}-01"}


def path_to_root(span: Span, spans: list[Span]) -> list[str]:
    """`service: name` of a span and all that it is part of."""
    known = {one.id: one for one in spans if one.trace == span.trace}
    path = []
    while span is not None:
        path.append(f"{span.service}: {span.name}")
        span = known.get(span.parent)
    return path
