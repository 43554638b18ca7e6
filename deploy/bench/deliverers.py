"""Who brings events from the stream to a webhook, the webhook itself, and all that take part in a benchmark by name."""

import http.client
import json
import os
import signal

from gateways import ALL_GATEWAYS, HERE, Sluice
from nats_server import STREAM
from processes import ManagedProcess, free_port, wait_until
from programs import program

#: The subscription of a delivering gateway, and the durable consumer that it or its rival pulls from.
SUBSCRIPTION = "bench"
CONSUMER = f"default_{SUBSCRIPTION}"
TYPE = "com.example.order.created"


class Receiver(ManagedProcess):
    """A local webhook that answers 204 to everything and counts."""

    def __init__(self, folder):
        self.port = free_port()
        super().__init__("receiver", [program("receiver"), str(self.port)], os.path.join(folder, "receiver.log"))
        try:
            wait_until(self._answers, 10, "the receiver answers", self)
        except BaseException:
            self.stop()
            raise

    def sink(self, number=0):
        """An address whose requests are counted under this number."""
        return f"http://127.0.0.1:{self.port}/{number}"

    def stats(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/stats")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def _answers(self):
        try:
            return self.stats()["requests"] == 0
        except OSError:
            return False


class SluicePush(Sluice):
    """The gateway, with one subscription to deliver from `begin` on."""

    def __init__(self, server, folder, options, sink):
        self._sink = sink
        super().__init__(server, folder, options)

    def begin(self):
        self.subscribe({SUBSCRIPTION: push_definition(self._sink, TYPE)})


class PythonLoop(ManagedProcess):
    """nats-py and aiohttp, 64 in flight."""

    label = "python loop"

    def __init__(self, server, folder, options, sink, with_stream=True):
        if with_stream:
            server.create_stream()
        server.create_consumer(CONSUMER, f"ce.default.*.{TYPE}")
        command = [options.python, os.path.join(HERE, "python_loop.py"), server.url, STREAM, CONSUMER, sink]
        super().__init__(self.label, command, os.path.join(folder, "python_loop.log"))
        try:
            wait_until(self._is_ready, 30, "the Python loop is ready", self)
        except BaseException:
            self.stop()
            raise

    def begin(self):
        os.kill(self.pid, signal.SIGUSR1)

    def _is_ready(self):
        with open(self.log_path, errors="replace") as log:
            return "ready" in log.read()


class RawFetch:
    """The yardstick of pulling, which is a program that runs to its end."""

    label = "raw cnats"


def push_definition(sink, event_type):
    return {
        "protocol": "HTTP", "sink": sink, "types": [event_type], "config": {"startAt": "earliest", "maxInFlight": 64},
    }


def pull_definition(event_type):
    return {"protocol": "PULL", "types": [event_type], "config": {"startAt": "earliest"}}


DELIVERERS = {"sluice": SluicePush, "loop": PythonLoop}
#: Everyone who is measured, by the name that `--gateways` takes.
PARTICIPANTS = {**ALL_GATEWAYS, "loop": PythonLoop, "fetch": RawFetch}
