"""The gateways that are measured. Another one is a class with `command` and `environment` and a line in `GATEWAYS`."""

import contextlib
import os

from nats_server import STREAM
from processes import ManagedProcess, free_port, get_status, wait_until
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
        return {"API_HOST": "127.0.0.1", "API_PORT": str(self.port), "LOG_LEVEL": "warning", "REDIS_URL": "off"}


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
    """Sluice with everything that watches it switched off: what counters, metrics, logs and the audit cost is seen beside it."""

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


GATEWAYS = {"sluice": Sluice, "python1": OneWorker, "python2": TwoWorkers}
#: The ways of watching that the scenario `watched` compares.
WATCHED = {
    "bare": BareSluice, "metrics": MetricsOnly, "counters": CountersOnly, "log": LogOnly, "trace": TraceOnly,
    "audit": AuditOnly, "all": WatchedSluice,
}
ALL_GATEWAYS = {**GATEWAYS, **WATCHED}
