"""What is measured: each scenario starts real servers of its own, puts load on them, and returns one record."""

import os
import resource
import shutil
import subprocess
import time

import loads
from delivery import DELIVERY_SCENARIOS
from gateways import ALL_GATEWAYS, GATEWAYS, ROOT, WATCHED
from nats_server import NATSServer
from processes import BenchError, run_measured
from programs import program
from runs import finish, measure_load, servers, temporary_folder

BATCH = 100
IDLE_CONNECTIONS = 10_000


def closed_loop(mode, connections=None, batch=1):
    def scenario(name, options, _):
        count = connections or options.connections
        return measure_load(
            name, options, lambda gateway, folder: loads.wrk(gateway, folder, mode, count, options.seconds, batch)
        )

    return scenario


def watched(name, options, _):
    """Single binary events, with the trace context of a sender where that is what is measured."""
    mode = "traced" if ALL_GATEWAYS[name].traced else "binary"
    return measure_load(
        name, options,
        lambda gateway, folder: loads.wrk(gateway, folder, mode, options.connections, options.seconds),
    )


def scraped(name, options, _):
    """The same load while /metrics, with all the series a gateway ever has, is read ten times a second."""

    def load(gateway, folder):
        loads.make_tenants(gateway, 250)
        with loads.Scraper(gateway.port) as scraper:
            record = loads.wrk(gateway, folder, "binary", options.connections, options.seconds)
        record["unanswered_max"] += 250
        record["scrape_ms"], record["scrape_kib"] = scraper.median_ms(), scraper.kib
        return record

    return measure_load(name, options, load)


def steady_at(rate=None, share=None):
    """A fixed rate, or a share of the peak that this run measured for single binary events."""

    def scenario(name, options, peak_of):
        wanted = rate or max(1, int(share * peak_of(name)))
        return measure_load(
            name, options,
            lambda gateway, _: loads.steady(
                gateway, options.gateway_binary, wanted, options.connections, max(options.seconds, 4)
            ),
        )

    return scenario


def yardstick(_, options, __):
    with temporary_folder() as folder, NATSServer(options.nats_server, folder) as server:
        server.create_stream()
        before = server.cpu_seconds()
        record = loads.yardstick(server, folder, program("yardstick"), options.seconds, options.in_flight)
        server_cpu = server.cpu_seconds() - before
        record["stored"] = server.stored()
        return finish(record, None, server_cpu)


def idle_memory(name, options, _):
    with servers(name, options) as (_, gateway, __):
        time.sleep(3)
        return {"rss_mib": gateway.memory_mib(), "peak_mib": gateway.memory_mib("VmHWM")}


def idle_connections(name, options, _):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(IDLE_CONNECTIONS, hard - 200)
    try:
        with servers(name, options) as (_, gateway, __), loads.IdleConnections(gateway.port) as idle:
            # The first requests warm up pools and tables that are not the connections' own.
            idle.open(100)
            before = gateway.memory_mib()
            idle.open(count)
            time.sleep(1)
            added = gateway.memory_mib() - before
            still_open = idle.count_open()
            if still_open < count:
                raise BenchError(f"only {still_open} of {count} idle connections stayed open")
            return {"connections": count, "added_mib": added, "rss_mib": gateway.memory_mib()}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def clean_build(_, options, __):
    """The CPU time of a first release build, in a copy of the sources, without the download of the packages."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE, check=True,
    ).stdout.decode().split("\0")
    with temporary_folder() as folder:
        for path in filter(None, listed):
            if os.path.isfile(os.path.join(ROOT, path)):
                os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
                shutil.copy2(os.path.join(ROOT, path), os.path.join(folder, path))
        pins = os.path.join(ROOT, "Package.resolved")
        if os.path.isfile(pins):
            shutil.copy2(pins, folder)
        swift = ["swift", "package", "--package-path", folder, "resolve"]
        run_measured(swift, "swift package resolve", 900)
        started = time.monotonic()
        swift = ["swift", "build", "--package-path", folder, "-c", "release", "--product", "sluice"]
        _, cpu = run_measured(swift, "swift build", 7200)
        return {"cpu_seconds": cpu, "seconds": time.monotonic() - started}


#: name → (what it is, the measurement, the gateways it is for; `None` for one that needs none)
SCENARIOS = {
    "yardstick": ("raw asynchronous cnats publishing in C, no HTTP", yardstick, None),
    "single-binary": ("one event per request, binary mode", closed_loop("binary"), list(GATEWAYS)),
    "single-structured": ("one event per request, structured mode", closed_loop("structured"), list(GATEWAYS)),
    "batch100": ("100 structured events per request", closed_loop("batch", batch=BATCH), list(GATEWAYS)),
    "one-connection": (
        "one connection, one request at a time", closed_loop("binary", connections=1), ["sluice", "python1"],
    ),
    "steady-1000": ("1,000 events/s, open loop", steady_at(rate=1000), ["sluice"]),
    "steady-30": ("30 % of the peak rate, open loop", steady_at(share=0.3), ["sluice"]),
    "steady-50": ("50 % of the peak rate, open loop", steady_at(share=0.5), ["sluice"]),
    "steady-70": ("70 % of the peak rate, open loop", steady_at(share=0.7), ["sluice"]),
    "watched": ("single binary events, with each way of watching off and on", watched, list(WATCHED)),
    "scraped": ("single binary events while /metrics is read ten times a second", scraped, ["sluice"]),
    "idle-memory": ("memory of a gateway that has nothing to do", idle_memory, ["sluice", "python1"]),
    "idle-connections": ("memory of 10,000 idle keep-alive connections", idle_connections, ["sluice", "python1"]),
    **DELIVERY_SCENARIOS,
    "build": ("CPU time of a clean release build", clean_build, None),
}
