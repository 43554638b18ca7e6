"""What puts load on a gateway: wrk in a closed loop, `sluice bench publish` at a steady rate; and the yardstick."""

import contextlib
import http.client
import json
import os
import socket
import statistics
import threading
import time
import uuid

from nats_server import STREAM
from processes import BenchError, run_measured
from programs import program

HERE = os.path.dirname(os.path.abspath(__file__))
DATA_BYTES = 512


def event_data():
    """JSON of exactly 512 bytes, the kind of thing a shop sends."""
    order = {
        "order": "8f14e45f-ceea-467f-a8d2-9b1b6b2c7a10", "customer": 48151623, "currency": "EUR", "total": 1299.95,
        "paid": True, "items": [{"sku": f"A-{n:05}", "quantity": n, "price": 19.99 + n} for n in range(1, 7)],
        "note": "",
    }
    order["note"] = "x" * (DATA_BYTES - len(json.dumps(order)))
    return json.dumps(order).encode()


def structured_event(identity):
    """The event as it lies in the stream."""
    head = (
        f'{{"specversion":"1.0","id":"{identity}","source":"/bench/orders","type":"com.example.order.created",'
        '"time":"2024-05-01T12:00:00Z","datacontenttype":"application/json","data":'
    )
    return head.encode() + event_data() + b"}"


def new_run():
    """A prefix for event ids that no other run has."""
    return uuid.uuid4().hex[:16]


def wrk(gateway, folder, mode, connections, seconds, batch=1):
    """Closed loop: every connection sends its next request when the answer to the last one is there."""
    data = os.path.join(folder, "data.json")
    with open(data, "wb") as file:
        file.write(event_data())
    command = [
        "wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "10s",
        "-s", os.path.join(HERE, "publish.lua"), gateway.url, "--", mode, new_run(), data, str(batch),
    ]
    output, cpu = run_measured(command, "wrk", seconds + 30)
    result = json.loads(output.strip().splitlines()[-1])
    answered = result["requests"] - result["non_2xx"]
    return {
        "seconds": result["seconds"], "events": answered * batch, "events_per_s": answered * batch / result["seconds"],
        "p50_ms": result["p50_ms"], "p99_ms": result["p99_ms"], "max_ms": result["max_ms"],
        "failures": result["non_2xx"] + result["socket_errors"], "unanswered_max": connections * batch, "load_cpu": cpu,
    }


def make_tenants(gateway, count):
    """One event for each of so many tenants, so that /metrics has all the series it can have."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=30)
    for number in range(count):
        event = structured_event(f"{new_run()}-{number}")
        headers = {"Content-Type": "application/cloudevents+json", "X-Tenant-ID": f"tenant-{number}"}
        connection.request("POST", "/v1/events", body=event, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 202:
            raise BenchError(f"a tenant's event was answered {answer.status}")
    connection.close()


class Scraper:
    """Reads /metrics ten times a second, and times it."""

    def __init__(self, port):
        self._port, self._times, self.kib = port, [], 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join()

    def median_ms(self):
        return statistics.median(self._times) * 1e3 if self._times else 0

    def _run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stopped.wait(0.1):
            started = time.monotonic()
            connection.request("GET", "/metrics")
            self.kib = len(connection.getresponse().read()) / 1024
            self._times.append(time.monotonic() - started)
        connection.close()


def steady(gateway, binary, rate, connections, seconds):
    """Open loop: `rate` events a second whatever the answers do, timed from when each was meant to be sent."""
    command = [
        binary, "bench", "publish", "--url", gateway.url, "--mode", "binary", "--data-bytes", str(DATA_BYTES),
        "--connections", str(connections), "--rate", str(rate), "--seconds", str(seconds), "--json",
    ]
    # It fails when an event was refused; its report says how many.
    output, cpu = run_measured(command, "sluice bench publish", seconds + 60, may_fail=True)
    return steady_result(last_json(output), rate, cpu)


def last_json(output):
    """The JSON object that starts on a line of its own in an output."""
    for start in [0] + [index + 1 for index, letter in enumerate(output) if letter == "\n"]:
        if output.startswith("{", start):
            with contextlib.suppress(ValueError):
                return json.JSONDecoder().raw_decode(output, start)[0]
    raise BenchError(f"sluice bench publish printed no JSON:\n{output[-1000:]}")


def steady_result(report, rate, cpu):
    return {
        "rate": rate, "seconds": report["seconds"], "events": report["accepted"],
        "events_per_s": report["accepted"] / report["seconds"], "p50_ms": report["p50_ms"],
        "p99_ms": report["p99_ms"], "max_ms": report["max_ms"], "failures": report["failed"],
        # A request that failed may have been stored all the same.
        "unanswered_max": report["failed"], "load_cpu": cpu,
    }


def yardstick(server, folder, program, seconds, in_flight):
    """Raw asynchronous publishing of the same events to the same kind of stream, without HTTP."""
    payload = os.path.join(folder, "event.json")
    with open(payload, "wb") as file:
        file.write(structured_event(f"{new_run()}-01-{1:012}"))
    command = [program, server.url, STREAM, "ce.default.normal.com.example.order.created", payload, str(seconds)]
    output, cpu = run_measured(command + [str(in_flight)], "the yardstick", seconds + 30)
    result = json.loads(output.strip().splitlines()[-1])
    return {
        "seconds": result["seconds"], "events": result["events"], "events_per_s": result["events_per_s"],
        "cpu_per_100k": result["cpu_s_per_100k"], "peak_mib": result["maxrss_kib"] / 1024,
        "failures": result["failed"], "unanswered_max": 0, "load_cpu": cpu,
    }


def fill(server, folder, events, types=1):
    """Puts so many events into the stream, as the gateway stores them; with several types one after the other."""
    data = os.path.join(folder, "data.json")
    with open(data, "wb") as file:
        file.write(event_data())
    command = [program("fill"), server.url, STREAM, new_run(), data, str(events), str(types)]
    run_measured(command, "the filler", 300)


def fetch_yardstick(server, consumer, events):
    """Raw pulling from the stream, every message acknowledged with confirmation, without HTTP."""
    output, cpu = run_measured([program("fetch_yardstick"), server.url, STREAM, consumer, str(events)], "fetching", 300)
    result = json.loads(output.strip().splitlines()[-1])
    return {
        "seconds": result["seconds"], "events": result["events"], "events_per_s": result["events_per_s"],
        "cpu_per_100k": result["cpu_s_per_100k"], "peak_mib": result["maxrss_kib"] / 1024,
        "failures": result["failed"], "load_cpu": cpu,
    }


def pull(gateway, subscription, events, connections, batch):
    """Receives and acknowledges by HTTP until all is settled."""
    command = [program("pull_client"), str(gateway.port), subscription, str(events), str(connections), str(batch)]
    output, cpu = run_measured(command, "the pulling client", 300)
    result = json.loads(output.strip().splitlines()[-1])
    return {
        "seconds": result["seconds"], "events": result["events"], "events_per_s": result["events_per_s"],
        "repeated": result["received"] - events, "failures": result["failed"], "load_cpu": cpu,
    }


def paced(gateway, rate, seconds):
    """Publishes at a steady rate events that hold the time they were meant to be sent. Returns how many."""
    command = [program("paced"), str(gateway.port), new_run(), str(rate), str(seconds)]
    output, _ = run_measured(command, "the paced publisher", seconds + 60)
    return json.loads(output.strip().splitlines()[-1])["accepted"]


class IdleConnections:
    """Keep-alive connections that each published one event and then stay open without a word."""

    def __init__(self, port):
        self.port = port
        self.sockets = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.sockets:
            connection.close()

    def open(self, count):
        run = new_run()
        for index in range(count):
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            self.sockets.append(connection)
            body = structured_event(f"{run}-00-{index:012}")
            connection.sendall(
                b"POST /v1/events HTTP/1.1\r\nHost: bench\r\nContent-Type: application/cloudevents+json\r\n"
                + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
            )
            self._expect_accepted(connection, index)

    def count_open(self):
        """How many of them the gateway has not closed."""
        return sum(1 for connection in self.sockets if not _is_closed(connection))

    @staticmethod
    def _expect_accepted(connection, index):
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = connection.recv(65536)
            if not part:
                raise BenchError(f"the gateway closed idle connection {index + 1} instead of answering")
            answer += part
        if not answer.startswith(b"HTTP/1.1 202"):
            raise BenchError(f"idle connection {index + 1} was answered: {answer[:300]!r}")
        head, _, rest = answer.partition(b"\r\n\r\n")
        wanted = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(rest) < wanted:
            rest += connection.recv(65536)


def _is_closed(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
