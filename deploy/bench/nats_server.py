"""A nats-server of one's own, and just enough of the NATS protocol to make a stream and to count what is in it."""

import json
import os
import socket

from processes import BenchError, ManagedProcess, free_port, wait_until

STREAM = "SLUICE_EVENTS"
# As the gateway creates it, so that the yardstick and the other gateways write to the same kind of stream.
STREAM_CONFIGURATION = {
    "name": STREAM, "subjects": ["ce.>"], "retention": "limits", "storage": "file", "discard": "new",
    "max_msgs": -1, "max_bytes": -1, "max_age": 604_800 * 10**9, "duplicate_window": 120 * 10**9, "num_replicas": 1,
    "max_consumers": -1, "max_msg_size": -1,
}


class NATSServer(ManagedProcess):
    """A real server on a free loopback port, with an empty file store."""

    def __init__(self, binary, folder):
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        store = os.path.join(folder, "store")
        command = [binary, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", store]
        super().__init__("nats-server", command, os.path.join(folder, "nats-server.log"))
        try:
            wait_until(self._answers, 10, "nats-server answers", self)
        except BaseException:
            self.stop()
            raise

    def _answers(self):
        try:
            return "error" not in self._request("$JS.API.INFO")
        except OSError:
            return False

    def create_stream(self):
        answer = self._request(f"$JS.API.STREAM.CREATE.{STREAM}", STREAM_CONFIGURATION)
        if "error" in answer:
            raise BenchError(f"cannot create the stream: {answer['error']}")

    def stored(self):
        """How many messages the stream holds, once that number rests."""
        last = -1

        def rests():
            nonlocal last
            before, last = last, self._messages()
            return last == before

        wait_until(rests, 10, "the stream's count rests")
        return last

    def create_consumer(self, name, subject):
        """A durable pull consumer for everything that the stream holds, as the gateway makes one for a subscription."""
        configuration = {
            "durable_name": name, "filter_subject": subject, "deliver_policy": "all", "ack_policy": "explicit",
            "ack_wait": 30 * 10**9, "max_deliver": -1, "max_ack_pending": 100_000, "replay_policy": "instant",
        }
        request = {"stream_name": STREAM, "config": configuration}
        answer = self._request(f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.{name}", request)
        if "error" in answer:
            raise BenchError(f"cannot create the consumer {name}: {answer['error']}")

    def unsettled(self, prefix=""):
        """How many messages the consumers with such names have yet to deliver, or to see acknowledged."""
        total, offset = 0, 0
        while True:
            answer = self._request(f"$JS.API.CONSUMER.LIST.{STREAM}", {"offset": offset})
            if "error" in answer:
                raise BenchError(f"cannot list the consumers: {answer['error']}")
            consumers = answer["consumers"] or []
            total += sum(
                consumer["num_pending"] + consumer["num_ack_pending"]
                for consumer in consumers if consumer["name"].startswith(prefix)
            )
            offset += len(consumers)
            if not consumers or offset >= answer["total"]:
                return total

    def _messages(self):
        answer = self._request(f"$JS.API.STREAM.INFO.{STREAM}")
        if "error" in answer:
            raise BenchError(f"cannot read the stream {STREAM}: {answer['error']}")
        return answer["state"]["messages"]

    def _request(self, subject, payload=None):
        body = json.dumps(payload).encode() if payload else b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection, \
                connection.makefile("rb") as lines:
            connection.sendall(
                b'CONNECT {"verbose":false,"pedantic":false}\r\nSUB _INBOX.bench 1\r\n'
                + f"PUB {subject} _INBOX.bench {len(body)}\r\n".encode() + body + b"\r\n"
            )
            while True:
                line = lines.readline()
                if line.startswith(b"MSG "):
                    return json.loads(lines.read(int(line.split()[-1])))
                if line.startswith(b"PING"):
                    connection.sendall(b"PONG\r\n")
                elif line.startswith(b"-ERR") or not line:
                    raise OSError(f"nats-server: {line!r}")
