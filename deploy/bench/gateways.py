"""The gateways that are measured. Another one is a class with `command` and `environment` and a line in `GATEWAYS`."""

import os

from nats_server import STREAM
from processes import ManagedProcess, free_port, get_status, wait_until

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


GATEWAYS = {"sluice": Sluice, "python1": OneWorker, "python2": TwoWorkers}
