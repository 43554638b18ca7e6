"""What is under test: nats-server alone or three of it, redis-server, and two gateways, every connection relayed."""

import asyncio
import itertools
import json

import nats
from nats.errors import Error as NATSError

from processes import ChaosError, wait_until
from relay import Relay
from servers import Gateway, Node, Redis, http_get

STREAM = "SLUICE_EVENTS"
DUPLICATE_WINDOW = 120
GATEWAYS = 2


class Topology:
    """Starts everything, and asks JetStream past the gateways."""

    def __init__(self, options, folder):
        self.size = 3 if options.topology == "cluster" else 1
        self.nodes = [Node(options.nats_server, folder, number) for number in range(self.size)]
        self.redis = Redis(folder)
        self.routes = {
            (one, other): Relay(self.nodes[other].route_port)
            for one, other in itertools.permutations(range(self.size), 2)
        }
        #: The connections of each gateway: to the nodes and to Redis.
        self.nats_relays = [[Relay(node.port) for node in self.nodes] for _ in range(GATEWAYS)]
        self.redis_relays = [Relay(self.redis.port) for _ in range(GATEWAYS)]
        self.gateways = []
        self._gateway_binary, self._folder = options.gateway, folder
        #: Nodes that cannot be asked now.
        self.away = set()

    async def start(self):
        for relay in self._relays():
            await relay.start()
        for node in self.nodes:
            node.configure([self.routes[node.number, other].port for other in range(self.size) if other != node.number])
            node.start()
        self.redis.start()
        nodes_answer = lambda: all(node.answers() for node in self.nodes)
        await asyncio.to_thread(wait_until, nodes_answer, 30, "nats-server answers", *self.nodes)
        redis_answers = lambda: self.redis.command("PING") == "+PONG"
        await asyncio.to_thread(wait_until, redis_answers, 30, "redis-server answers", self.redis)
        has_names = lambda answer: "total" in (answer or {})
        await self._wait(lambda: self.api("STREAM.NAMES"), has_names, 60, "JetStream has a leader")
        for number in range(GATEWAYS):
            await self._start_gateway(number)
        if not await self.wait_until_current(60):
            raise ChaosError("the copies of the stream never became equal")

    async def _start_gateway(self, number):
        gateway = Gateway(self._gateway_binary, self._folder, number, {
            "NATS_URL": ",".join(f"nats://127.0.0.1:{relay.port}" for relay in self.nats_relays[number]),
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_relays[number].port}",
            "STREAM_REPLICAS": str(self.size), "PUBLISH_TIMEOUT": "3", "LOG_FORMAT": "json",
            "DUPLICATE_WINDOW": str(DUPLICATE_WINDOW),
        })
        self.gateways.append(gateway)
        gateway.start()
        await asyncio.to_thread(wait_until, gateway.is_ready, 60, "the gateway is ready", gateway)

    def stop(self):
        for process in [*self.gateways, self.redis, *self.nodes]:
            process.kill()
        for relay in self._relays():
            relay.stop()

    def _relays(self):
        return [*self.routes.values(), *itertools.chain(*self.nats_relays), *self.redis_relays]

    def isolate(self, node, how):
        """Cuts the routes of a node, or holds them (`cut`, `hold`)."""
        for pair, relay in self.routes.items():
            if node in pair:
                getattr(relay, how)()

    def heal_routes(self):
        for relay in self.routes.values():
            relay.heal()

    async def connect(self):
        """A client of the first node that can be asked."""
        node = next(node for node in self.nodes if node.number not in self.away)
        return await nats.connect(
            f"nats://127.0.0.1:{node.port}", allow_reconnect=False, connect_timeout=2, error_cb=_ignore
        )

    async def api(self, subject, timeout=2):
        """The answer to a request to `$JS.API.<subject>`, or None."""
        try:
            client = await self.connect()
        except (OSError, NATSError, asyncio.TimeoutError, StopIteration):
            return None
        try:
            return json.loads((await client.request(f"$JS.API.{subject}", b"", timeout=timeout)).data)
        except (NATSError, asyncio.TimeoutError, ValueError):
            return None
        finally:
            await client.close()

    async def leader(self):
        """The number of the node that leads the stream, or None."""
        name = ((await self.api(f"STREAM.INFO.{STREAM}") or {}).get("cluster") or {}).get("leader")
        return next((node.number for node in self.nodes if node.name == name), None)

    async def wait_until_current(self, seconds):
        """Waits until every copy of the stream is there and has all of it."""

        def is_current(info):
            if not info or "error" in info:
                return False
            if self.size == 1:
                return True
            cluster = info.get("cluster") or {}
            copies = cluster.get("replicas") or []
            return bool(cluster.get("leader")) and len(copies) == self.size - 1 and all(
                copy.get("current") and not copy.get("offline") and not copy.get("lag") for copy in copies
            )

        return await self._wait(lambda: self.api(f"STREAM.INFO.{STREAM}"), is_current, seconds)

    async def wait_until_ready(self, seconds):
        """Waits until both gateways say that they are ready."""

        async def statuses():
            return [(await asyncio.to_thread(http_get, gateway.port, "/health/ready"))[0] for gateway in self.gateways]

        return await self._wait(statuses, lambda found: all(status == 200 for status in found), seconds)

    @staticmethod
    async def _wait(ask, holds, seconds, what=None):
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            if holds(await ask()):
                return True
            if asyncio.get_running_loop().time() > deadline:
                if what:
                    raise ChaosError(f"waited {seconds} s until {what}")
                return False
            await asyncio.sleep(0.1)


async def _ignore(_):
    pass
