"""What delivering costs: pulling and settling, webhooks, their delay, and what subscriptions cost those who publish."""

import contextlib
import time

import loads
from deliverers import (
    CONSUMER, DELIVERERS, SUBSCRIPTION, TYPE, PythonLoop, Receiver, SluicePush, pull_definition, push_definition,
)
from gateways import ALL_GATEWAYS, SUBSCRIBED, Sluice
from nats_server import NATSServer
from processes import BenchError, wait_until
from profiling import profiled
from runs import measure_load, temporary_folder

#: Events in the stream for each second of load that the options ask for; everybody gets the same.
PULLED_PER_SECOND = 50_000
PUSHED_PER_SECOND = 12_500
#: Few: every consumer makes nats-server look at every event.
TYPED_PER_SECOND = 2_500
PULL_CONNECTIONS, PULL_BATCH = 8, 100
DELAY_RATE = 1000
#: Nobody publishes this type.
OTHER_TYPE = "com.example.nobody.sends.t{}"


@contextlib.contextmanager
def broker(options):
    with temporary_folder() as folder, NATSServer(options.nats_server, folder) as server:
        yield server, folder


class Costs:
    """The CPU time of processes from when this is made, and what they hold at the end."""

    def __init__(self, deliverers, server, receiver=None):
        self._deliverers, self._server, self._receiver = deliverers, server, receiver
        self._before = self._now()

    def add_to(self, record):
        deliverer, server, receiver = (after - before for after, before in zip(self._now(), self._before))
        events = record["events"]
        record["cpu_per_100k"], record["cores"] = deliverer * 1e5 / events, deliverer / record["seconds"]
        record["server_cpu_per_100k"] = server * 1e5 / events
        record["load_cpu_per_100k"] = (record.pop("load_cpu", 0) + receiver) * 1e5 / events
        record["rss_mib"] = sum(process.memory_mib() for process in self._deliverers)
        record["peak_mib"] = sum(process.memory_mib("VmHWM") for process in self._deliverers)
        for process in [*self._deliverers, self._server]:
            if process.has_ended():
                raise BenchError(f"{process.name} ended under load:\n{process.log_tail()}")
        return record

    def _now(self):
        return (
            sum(process.cpu_seconds() for process in self._deliverers), self._server.cpu_seconds(),
            self._receiver.cpu_seconds() if self._receiver else 0,
        )


def wait_for_settlement(server, deliverer, seconds):
    wait_until(lambda: server.unsettled("default_") == 0, seconds, "everything is settled", deliverer)


def wait_for_deliveries(receiver, events, deliverer, seconds):
    """Returns the receiver's counts, once it has been sent that many events."""
    counts = {}

    def all_came():
        # The question costs the receiver some of its time.
        time.sleep(0.05)
        if receiver.has_ended():
            raise BenchError(f"the receiver ended:\n{receiver.log_tail()}")
        counts.update(receiver.stats())
        return counts["requests"] >= events

    try:
        wait_until(all_came, seconds, f"{events} events were delivered", deliverer)
    except BenchError as error:
        raise BenchError(f"{error}\n  {counts.get('requests', 0)} of {events} came") from None
    return counts


def settle(record, server):
    """What the stream holds must be settled, all of it."""
    record["settled"] = server.stored() - server.unsettled("default_")
    record["honest"] = record["settled"] >= record["events"] == server.stored()
    return record


def pull(name, options, _):
    """The yardstick, or the gateway, empties a stream that was filled before; every event is acknowledged."""
    events = PULLED_PER_SECOND * options.seconds
    if name == "fetch":
        return raw_pull(options, events)
    with broker(options) as (server, folder), Sluice(server, folder, options) as gateway:
        loads.fill(server, folder, events)
        gateway.subscribe({SUBSCRIPTION: pull_definition(TYPE)})
        costs = Costs([gateway], server)
        with profiled(gateway, folder, options):
            record = loads.pull(gateway, SUBSCRIPTION, events, PULL_CONNECTIONS, PULL_BATCH)
            wait_for_settlement(server, gateway, 60)
        return settle(costs.add_to(record), server)


def raw_pull(options, events):
    with broker(options) as (server, folder):
        server.create_stream()
        loads.fill(server, folder, events)
        server.create_consumer(CONSUMER, f"ce.default.*.{TYPE}")
        before = server.cpu_seconds()
        record = loads.fetch_yardstick(server, CONSUMER, events)
        record["server_cpu_per_100k"] = (server.cpu_seconds() - before) * 1e5 / events
        record["load_cpu_per_100k"] = record.pop("load_cpu") * 1e5 / events
        return settle(record, server)


def webhook(name, options, _):
    """A stream that was filled before, to one webhook, 64 requests in flight."""
    events = PUSHED_PER_SECOND * options.seconds
    with broker(options) as (server, folder), Receiver(folder) as receiver, \
            DELIVERERS[name](server, folder, options, receiver.sink()) as deliverer:
        loads.fill(server, folder, events)
        costs = Costs([deliverer], server, receiver)
        with profiled(deliverer, folder, options):
            started = time.monotonic_ns()
            deliverer.begin()
            counts = wait_for_deliveries(receiver, events, deliverer, 60 * options.seconds)
            wait_for_settlement(server, deliverer, 60)
        counts = receiver.stats()
        took = (counts["last_ns"] - started) / 1e9
        record = {
            "events": events, "seconds": took, "events_per_s": events / took, "repeated": counts["requests"] - events,
        }
        return settle(costs.add_to(record), server)


def webhook_delay(name, options, _):
    """From when an event was meant to be published, through the gateway, to its arrival at the webhook."""
    seconds = max(options.seconds, 5)
    with contextlib.ExitStack() as stack:
        server, folder = stack.enter_context(broker(options))
        receiver = stack.enter_context(Receiver(folder))
        if name == "loop":
            gateway = stack.enter_context(Sluice(server, folder, options))
            deliverer = stack.enter_context(
                PythonLoop(server, folder, options, receiver.sink(), with_stream=False)
            )
            processes = [gateway, deliverer]
        else:
            gateway = deliverer = stack.enter_context(SluicePush(server, folder, options, receiver.sink()))
            processes = [gateway]
        deliverer.begin()
        costs = Costs(processes, server, receiver)
        with profiled(deliverer, folder, options):
            events = loads.paced(gateway, DELAY_RATE, seconds)
            counts = wait_for_deliveries(receiver, events, deliverer, 60)
            wait_for_settlement(server, deliverer, 60)
        record = {
            "rate": DELAY_RATE, "events": events, "seconds": seconds,
            "events_per_s": counts["requests"] / ((counts["last_ns"] - counts["first_ns"]) / 1e9),
            "p50_ms": counts["p50_ms"], "p99_ms": counts["p99_ms"], "max_ms": counts["max_ms"],
            "repeated": counts["requests"] - events,
        }
        return settle(costs.add_to(record), server)


def idle_subscription(name, options, _):
    """Single binary events, while there are subscriptions that none of them matches."""

    def prepare(gateway):
        count = gateway.subscriptions
        # The sink is never called, since nothing matches.
        sink = f"http://127.0.0.1:{gateway.port}/nobody"
        started = time.monotonic()
        gateway.subscribe({f"other-{n}": push_definition(sink, OTHER_TYPE.format(n)) for n in range(count)})
        # One alone would tell how long the gateway takes to start.
        record = {"subscribe_ms": (time.monotonic() - started) * 1e3 / count} if count > 1 else {}
        time.sleep(1)
        before, pause = gateway.cpu_seconds(), 3
        time.sleep(pause)
        record["idle_share"] = (gateway.cpu_seconds() - before) * 100 / pause
        return record

    return measure_load(
        name, options,
        lambda gateway, folder: loads.wrk(gateway, folder, "binary", options.connections, options.seconds), prepare,
    )


def own_types(name, options, _):
    """Subscriptions that each take a type of their own, delivering while the stream is filled with all of the types."""
    events = TYPED_PER_SECOND * options.seconds
    with broker(options) as (server, folder), Receiver(folder) as receiver, \
            ALL_GATEWAYS[name](server, folder, options) as gateway:
        count = gateway.subscriptions
        types = [TYPE] if count == 1 else [f"com.example.order.t{n}" for n in range(count)]
        gateway.subscribe({f"own-{n}": push_definition(receiver.sink(n + 1), types[n]) for n in range(count)})
        costs = Costs([gateway], server, receiver)
        with profiled(gateway, folder, options):
            started = time.monotonic_ns()
            loads.fill(server, folder, events, count)
            counts = wait_for_deliveries(receiver, events, gateway, 60 * options.seconds)
            wait_for_settlement(server, gateway, 60)
        counts = receiver.stats()
        if counts["paths"] != count:
            raise BenchError(f"{counts['paths']} of {count} subscriptions delivered something")
        took = (counts["last_ns"] - started) / 1e9
        record = {
            "events": events, "seconds": took, "events_per_s": events / took, "repeated": counts["requests"] - events,
        }
        return settle(costs.add_to(record), server)


DELIVERY_SCENARIOS = {
    "pull": ("batches of 100 received and acknowledged; beside raw cnats in C", pull, ["fetch", "sluice"]),
    "webhook": ("a filled stream to one webhook; beside a loop in Python", webhook, ["loop", "sluice"]),
    "webhook-delay": ("1,000 events/s, from publishing to the webhook", webhook_delay, ["loop", "sluice"]),
    "idle-subscription": (
        "single binary events and subscriptions that match none of them", idle_subscription, list(SUBSCRIBED),
    ),
    "own-types": ("1 and 990 subscriptions, each with a type of its own", own_types, ["one", "many"]),
}
