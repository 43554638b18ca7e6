"""An OTLP/HTTP collector that decodes what it gets with OpenTelemetry's own generated classes.

Usage: collector.py PORT SCRIPT

Listens on loopback and prints one JSON line when it listens, then one for every request. SCRIPT is a JSON list with what to
do about the first requests; those after them are accepted. An entry may have:
  status, fields, rejected, message   an answer, with a partial success or a google.rpc.Status
  do: reset | hang | close | trickle | huge | hugeHead | closeAfter
"""

import json
import socket
import struct
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.internal.encoder import _VarintBytes
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

SCRIPT = json.loads(sys.argv[2])
LOCK = threading.Lock()
STATE = {"requests": 0, "connections": 0}


def say(what):
    with LOCK:
        print(json.dumps(what), flush=True)


def value(any_value):
    kind = any_value.WhichOneof("value")
    content = getattr(any_value, kind)
    if kind == "array_value":
        content = [value(element) for element in content.values]
    return {"kind": kind, "text": json.dumps([e["text"] for e in content] if kind == "array_value" else content)}


def attributes(pairs):
    return [{"key": pair.key, **value(pair.value)} for pair in pairs]


def span(s):
    return {
        "traceID": s.trace_id.hex(),
        "spanID": s.span_id.hex(),
        "parentID": s.parent_span_id.hex(),
        "state": s.trace_state,
        "flags": s.flags,
        "name": s.name,
        "kind": trace_pb2.Span.SpanKind.Name(s.kind),
        "start": s.start_time_unix_nano,
        "end": s.end_time_unix_nano,
        "attributes": attributes(s.attributes),
        "attributesDropped": s.dropped_attributes_count,
        "events": [
            {
                "name": e.name,
                "time": e.time_unix_nano,
                "attributes": attributes(e.attributes),
                "attributesDropped": e.dropped_attributes_count,
            }
            for e in s.events
        ],
        "eventsDropped": s.dropped_events_count,
        "links": [
            {
                "traceID": link.trace_id.hex(),
                "spanID": link.span_id.hex(),
                "state": link.trace_state,
                "flags": link.flags,
                "attributes": attributes(link.attributes),
            }
            for link in s.links
        ],
        "linksDropped": s.dropped_links_count,
        "status": trace_pb2.Status.StatusCode.Name(s.status.code),
        "statusMessage": s.status.message,
    }


def decode(body):
    message = trace_service_pb2.ExportTraceServiceRequest()
    message.ParseFromString(body)
    message.DiscardUnknownFields()
    return {
        "isCanonical": message.SerializeToString(deterministic=True) == body,
        "resources": [
            {
                "attributes": attributes(r.resource.attributes),
                "scopes": [
                    {
                        "name": scope.scope.name,
                        "version": scope.scope.version,
                        "spans": [span(s) for s in scope.spans],
                    }
                    for scope in r.scope_spans
                ],
            }
            for r in message.resource_spans
        ],
    }


def text_field(number, text):
    content = text.encode()
    return _VarintBytes(number << 3 | 2) + _VarintBytes(len(content)) + content


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        with LOCK:
            self.number = STATE["connections"]
            STATE["connections"] += 1

    def do_POST(self):
        with LOCK:
            step = SCRIPT[STATE["requests"]] if STATE["requests"] < len(SCRIPT) else {}
            STATE["requests"] += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        say(
            {
                "path": self.path,
                "fields": {key.lower(): text for key, text in self.headers.items()},
                "connection": self.number,
                "body": decode(body),
            }
        )
        self.act(step)

    def act(self, step):
        what = step.get("do")
        if what == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif what == "close":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
        elif what == "hang":
            threading.Event().wait()
        elif what == "trickle":
            self.trickle()
        elif what == "huge":
            self.huge(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", b"x" * 65536)
        elif what == "hugeHead":
            self.huge(b"HTTP/1.1 200 OK\r\n", b"x-field: " + b"x" * 1000 + b"\r\n")
        else:
            self.answer(step.get("status", 200), self.content(step), step.get("fields", {}))
            if what == "closeAfter":
                self.close_connection = True

    def content(self, step):
        if step.get("status", 200) != 200:
            return text_field(2, step.get("message", ""))
        response = trace_service_pb2.ExportTraceServiceResponse()
        if "rejected" in step:
            response.partial_success.rejected_spans = step["rejected"]
            response.partial_success.error_message = step.get("message", "")
        return response.SerializeToString()

    def answer(self, status, content, fields):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(content)))
        for name, text in fields.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def trickle(self):
        try:
            for byte in b"HTTP/1.1 200 OK\r\nx-slow: " + b"x" * 1_000_000:
                self.connection.sendall(bytes([byte]))
                time.sleep(0.02)
        except OSError:
            self.close_connection = True

    def huge(self, head, more):
        try:
            self.connection.sendall(head)
            while True:
                self.connection.sendall(more)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        if not isinstance(sys.exc_info()[1], OSError):
            say({"error": traceback.format_exc()})


server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
say({"port": server.server_address[1]})
server.serve_forever()
