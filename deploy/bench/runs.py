"""One run: real servers of its own in a folder of its own, a load, and a record of what it did and what it cost."""

import contextlib
import os
import shutil
import tempfile

from gateways import ALL_GATEWAYS, ROOT
from nats_server import NATSServer
from processes import BenchError
from profiling import profiled


@contextlib.contextmanager
def temporary_folder():
    """Below `.build`, so that a file store is on a disk even where the system's temporary folder is memory."""
    parent = os.path.join(ROOT, ".build", "bench")
    os.makedirs(parent, exist_ok=True)
    folder = tempfile.mkdtemp(prefix="run-", dir=parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def servers(name, options):
    """A fresh nats-server with an empty store, and the gateway in front of it."""
    with temporary_folder() as folder, NATSServer(options.nats_server, folder) as server, \
            ALL_GATEWAYS[name](server, folder, options) as gateway:
        yield server, gateway, folder


def measure_load(name, options, load, prepare=None):
    """Puts a load on a gateway; the record has what it cost and whether what was answered is stored.

    What `prepare` does with the gateway beforehand is not measured; it may return fields of the record.
    """
    with servers(name, options) as (server, gateway, folder):
        prepared = prepare(gateway) if prepare else {}
        gateway_cpu, server_cpu = gateway.cpu_seconds(), server.cpu_seconds()
        with profiled(gateway, folder, options):
            record = {**prepared, **load(gateway, folder)}
        gateway_cpu, server_cpu = gateway.cpu_seconds() - gateway_cpu, server.cpu_seconds() - server_cpu
        record["rss_mib"], record["peak_mib"] = gateway.memory_mib(), gateway.memory_mib("VmHWM")
        if gateway.has_ended() or server.has_ended():
            broken = gateway if gateway.has_ended() else server
            raise BenchError(f"{broken.name} ended under load:\n{broken.log_tail()}")
        record["stored"] = server.stored()
        if record["events"] == 0:
            raise BenchError(f"{gateway.label} accepted no event:\n{gateway.log_tail()}")
        return finish(record, gateway_cpu, server_cpu)


def finish(record, gateway_cpu, server_cpu):
    """Adds the costs per 100,000 events. What was stored but not answered counts too: it cost as much."""
    events = max(record["events"], record["stored"])
    if gateway_cpu is not None:
        record["cpu_per_100k"] = gateway_cpu * 1e5 / events
        record["cores"] = gateway_cpu / record["seconds"]
    record["server_cpu_per_100k"] = server_cpu * 1e5 / events
    record["load_cpu_per_100k"] = record.pop("load_cpu") * 1e5 / events
    unanswered = record["stored"] - record["events"]
    record["honest"] = 0 <= unanswered <= record.pop("unanswered_max")
    return record
