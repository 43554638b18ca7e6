"""The gateways that are measured. Another one is a class with `command` and `environment` and a line in `GATEWAYS`."""

import contextlib
import http.client
import json
import os

from nats_server import STREAM
from processes import BenchError, ManagedProcess, free_port, get_status, wait_until
from redis_server import RedisServer

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


class Gateway(ManagedProcess):
    """A gateway in front of a nats-server, on a free loopback port, ready when it says so."""

    label = "gateway"
    #: Whether it makes the stream itself; otherwise the benchmark does.
    creates_stream = False

    def __init__(self, server, folder, options):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        if not self.creates_stream:
            server.create_stream()
        environment = dict(os.environ, NATS_URL=server.url, STREAM_NAME=STREAM, **self.environment())
        super().__init__(self.label, self.command(options), os.path.join(folder, "gateway.log"), environment)
        try:
            wait_until(lambda: get_status(self.port, "/health/ready") == 200, 30, f"{self.label} is ready", self)
        except BaseException:
            self.stop()
            raise

    def command(self, options):
        raise NotImplementedError

    def environment(self):
        return {}


class Sluice(Gateway):
    """The gateway of this repository, with its settings at their defaults unless the environment has others."""

    label = "sluice"
    creates_stream = True

    def command(self, options):
        return [options.gateway_binary, "serve"]

    def environment(self):
        return {
            "API_HOST": "127.0.0.1", "API_PORT": str(self.port), "LOG_LEVEL": "warning", "REDIS_URL": "off",
            "SINK_ALLOW_NETWORKS": "127.0.0.0/8", "SINK_ALLOW_HTTP": "true", "SINK_HANDSHAKE": "off",
        }

    def subscribe(self, definitions):
        """Creates subscriptions: {id: definition}."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            for identity, definition in definitions.items():
                path, body = f"/v1/subscriptions/{identity}", json.dumps(definition)
                wait_until(lambda: self._put(connection, path, body), 15, f"{path} is there", self)

    @staticmethod
    def _put(connection, path, body):
        """Whether it was created; not yet is another answer than never."""
        try:
            connection.request("PUT", path, body=body, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"PUT {path} was not answered: {error!r}") from error
        if answer.status not in (200, 201, 503):
            raise BenchError(f"PUT {path} was answered {answer.status}: {text[:1000]}")
        return answer.status != 503


class PythonGateway(Gateway):
    """FastAPI and nats-py under uvicorn with its fast parts (uvloop, httptools)."""

    workers = 1

    def command(self, options):
        return [
            options.python, "-m", "uvicorn", "fastapi_gateway:app", "--app-dir", HERE, "--host", "127.0.0.1",
            "--port", str(self.port), "--workers", str(self.workers), "--loop", "uvloop", "--http", "httptools",
            "--timeout-keep-alive", "75", "--no-access-log", "--log-level", "warning",
        ]


class OneWorker(PythonGateway):
    label = "python, 1 worker"


class TwoWorkers(PythonGateway):
    label = "python, 2 workers"
    workers = 2


class BareSluice(Sluice):
    """Sluice with everything that watches it switched off; beside it is seen what each of those costs."""

    label = "sluice, unwatched"
    switched_on = {}
    needs_redis = False
    traced = False

    def __init__(self, server, folder, options):
        with contextlib.ExitStack() as redis:
            self._redis = redis.enter_context(RedisServer(folder)) if self.needs_redis else None
            super().__init__(server, folder, options)
            self._stack = redis.pop_all()

    def stop(self):
        super().stop()
        if hasattr(self, "_stack"):
            self._stack.close()

    def environment(self):
        settings = {"METRICS": "false", "AUDIT": "false", "LOG_LEVEL": "critical", **self.switched_on}
        if self._redis:
            settings["REDIS_URL"] = self._redis.url
        return {**super().environment(), **settings}


class MetricsOnly(BareSluice):
    label = "sluice, metrics"
    switched_on = {"METRICS": "true"}


class CountersOnly(BareSluice):
    label = "sluice, counters"
    needs_redis = True


class LogOnly(BareSluice):
    label = "sluice, log at info"
    switched_on = {"LOG_LEVEL": "info"}


class TraceOnly(BareSluice):
    label = "sluice, trace context"
    traced = True


class AuditOnly(BareSluice):
    label = "sluice, audit"
    switched_on = {"AUDIT": "true"}


class WatchedSluice(BareSluice):
    """Counters, metrics, logging at info and trace context together."""

    label = "sluice, all but audit"
    switched_on = {"METRICS": "true", "LOG_LEVEL": "info"}
    needs_redis = True
    traced = True


class Unsubscribed(Sluice):
    """Sluice with the subscriptions that a scenario makes for it."""

    label = "sluice, no subscription"
    subscriptions = 0


class Baseline(Unsubscribed):
    label = "an earlier sluice"

    def command(self, options):
        return [options.baseline_binary, "serve"]


class OneSubscription(Unsubscribed):
    label = "sluice, 1 subscription"
    subscriptions = 1


class ManySubscriptions(Unsubscribed):
    """As many as a current nats-server allows one stream with its default settings, less some for others."""

    label = "sluice, 990 subscriptions"
    subscriptions = 990


GATEWAYS = {"sluice": Sluice, "python1": OneWorker, "python2": TwoWorkers}
#: The ways of watching that the scenario `watched` compares.
WATCHED = {
    "bare": BareSluice, "metrics": MetricsOnly, "counters": CountersOnly, "log": LogOnly, "trace": TraceOnly,
    "audit": AuditOnly, "all": WatchedSluice,
}
#: What the scenarios about subscriptions compare.
SUBSCRIBED = {"baseline": Baseline, "none": Unsubscribed, "one": OneSubscription, "many": ManySubscriptions}
ALL_GATEWAYS = {**GATEWAYS, **WATCHED, **SUBSCRIBED}
