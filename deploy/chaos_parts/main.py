"""Publishes through two gateways while things go wrong, and judges what became of every event."""

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import time

from nats.errors import Error as NATSError

sys.dont_write_bytecode = True  # The modules beside this one are source, in a folder that is no place for caches.

import counters
import faults as plan
from load import Load
from oracle import Oracle, Verdict
from processes import ChaosError
from topology import DUPLICATE_WINDOW, GATEWAYS, STREAM, Topology

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
EPILOG = """examples:
  deploy/chaos --seconds 60
  deploy/chaos --minutes 30 --topology cluster
  deploy/chaos --seed 4711 --topology cluster     the same faults again
  deploy/chaos --without gateway-kill,redis-kill,redis-flush     the counters have to be exact

Two gateways, redis-server, and nats-server (three of it with --topology cluster) run on loopback; every connection
between them goes through a relay that can cut it. Exit status: 0 when nothing is wrong; 1 when an event is lost,
unexpected, changed or told wrongly, or a counter is off: then logs and stores are kept; 2 when there could be no run.
"""


def parse(arguments):
    kinds = sorted(plan.CLUSTER)
    parser = argparse.ArgumentParser(
        prog="deploy/chaos", description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=float, default=60, help="how long faults come (default 60)")
    length.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=None, help="decides the faults (default: a random one, printed)")
    parser.add_argument("--topology", choices=list(plan.TABLES), default="single")
    parser.add_argument("--rate", type=float, default=None, help="events per second (default 400; cluster 200)")
    parser.add_argument("--nats-server", default=_nats_server(), help="default: that of the tests, else the one in PATH")
    parser.add_argument("--gateway", default=os.path.join(ROOT, ".build/release/sluice"), help="the gateway's binary")
    parser.add_argument("--only", type=_kinds, default=kinds, help=f"faults, with commas: {', '.join(kinds)}")
    parser.add_argument("--without", type=_kinds, default=[], help="faults that are left out")
    parser.add_argument("--counters", action=argparse.BooleanOptionalAction, default=True, help="judge them too (R-32)")
    parser.add_argument("--keep", action="store_true", help="keep logs and stores in any case")
    parser.add_argument("--json", action="store_true", help="print nothing but the verdict, as JSON on one line")
    options = parser.parse_args(arguments)
    if options.minutes is not None:
        options.seconds = options.minutes * 60
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    if options.rate is None:
        options.rate = 400 if options.topology == "single" else 200
    for what, path in (("gateway", options.gateway), ("nats-server", options.nats_server)):
        if shutil.which(path) is None:
            parser.error(f"no such {what}: {path}")
    if shutil.which("redis-server") is None:
        parser.error("redis-server is not in PATH")
    return options


def _nats_server():
    """The current nats-server that `deploy/install --test` installs.

    A cluster of 2.9.10 loses events that it has acknowledged, whoever publishes them; a run shows that.
    """
    own = os.path.join(ROOT, ".build/venv/bin/nats-server")
    return own if os.access(own, os.X_OK) else "nats-server"


def _kinds(text):
    kinds = [kind for kind in text.split(",") if kind]
    for kind in kinds:
        if kind not in plan.CLUSTER:
            raise argparse.ArgumentTypeError(f"no such fault: {kind}")
    return kinds


async def read_stream(topology):
    """Every message of the stream, read past the gateways: (sequence, seconds, event or None)."""
    for attempt in range(10):
        try:
            return await _read_stream(topology)
        except (OSError, NATSError, asyncio.TimeoutError) as error:
            # A cluster that has just been healed may still refuse a consumer.
            failure = error
            await asyncio.sleep(1 + attempt)
    raise ChaosError(f"the stream cannot be read: {failure!r}")


async def _read_stream(topology):
    client = await topology.connect()
    try:
        stream = client.jetstream(timeout=10)
        last = (await stream.stream_info(STREAM)).state.last_seq
        subscription = await stream.subscribe(
            ">", stream=STREAM, ordered_consumer=True, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        stored = []
        while last and (not stored or stored[-1][0] < last):
            message = await subscription.next_msg(timeout=30)
            try:
                event = json.loads(message.data)
            except ValueError:
                event = None
            stored.append((message.metadata.sequence.stream, message.metadata.timestamp.timestamp(), event))
        return stored
    finally:
        await client.close()


async def run(options, folder, say):
    oracle, topology, verdict = Oracle(GATEWAYS), Topology(options, folder), Verdict()
    try:
        await topology.start()
        load, injector = Load(topology, oracle, options.seed, options.rate), plan.Injector(topology, oracle, say)
        kinds = set(options.only) - set(options.without)
        load.start()
        await injector.run(plan.schedule(options.seed, options.topology, options.seconds, kinds), options.seconds)
        say(options.seconds, "everything is healed; waiting until all is quiet")
        if not await topology.wait_until_current(120):
            injector.problems.append("the copies of the stream never became equal")
        if not await topology.wait_until_ready(120):
            tails = "\n".join(gateway.log_tail() for gateway in topology.gateways)
            injector.problems.append(f"a gateway did not become ready again:\n{tails}")
        if not await load.end(120):
            injector.problems.append("an event could not be brought to its end in two minutes")
        verdict.check("problems", injector.problems)
        verdict.judge_stream(oracle, await read_stream(topology), DUPLICATE_WINDOW)
        if not oracle.acked:
            verdict.check("nothing was acknowledged", [1])
        if options.counters:
            await counters.judge(verdict, topology, oracle, injector)
        verdict.facts.update(
            acknowledged=len(oracle.acked), attempts=len(oracle.attempts),
            answers={str(status): count for status, count in oracle.statuses.items()},
            noAnswerFromGateway=oracle.unseen_by_end(),
            faults=sum(injector.counts.values()), faultsByKind=dict(sorted(injector.counts.items())),
            gatewayReadySecondsMax=max(injector.ready_seconds, default=None),
        )
        return verdict
    finally:
        topology.stop()


def main():
    options = parse(sys.argv[1:])
    began = time.monotonic()

    def say(elapsed, text):
        if not options.json:
            print(f"{elapsed:7.1f} s  {text}", flush=True)

    if not options.json:
        print(f"seed {options.seed}, {options.topology}, {options.seconds:g} s, {options.rate:g} events/s")
        print(f"{options.gateway}, {options.nats_server}", flush=True)
    folder = tempfile.mkdtemp(prefix="sluice-chaos-")
    keeps = True
    try:
        verdict = asyncio.run(run(options, folder, say))
        keeps = options.keep or bool(verdict.violations)
    except ChaosError as error:
        print(f"deploy/chaos: {error}", file=sys.stderr)
        return 2
    finally:
        if keeps:
            print(f"logs and stores: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    report = verdict.report(
        seed=options.seed, topology=options.topology, seconds=options.seconds, took=round(time.monotonic() - began)
    )
    if options.json:
        print(report)
    else:
        print(json.dumps(json.loads(report), indent=2))
    if verdict.violations:
        found = json.dumps(verdict.violations)
        print(f"deploy/chaos: seed {options.seed}, {options.topology}: {found}", file=sys.stderr)
    return 1 if verdict.violations else 0


if __name__ == "__main__":
    sys.exit(main())
