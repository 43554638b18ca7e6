"""The faults: a schedule that the seed alone decides, and what each of them does."""

import asyncio
import random
import signal

#: Relative frequency of each fault, and how long it lasts in seconds (least, most).
SINGLE = {
    "gateway-kill": (3, 0.2, 2), "gateway-term": (3, 0, 0), "gateway-stop": (2, 1, 4),
    "nats-kill": (3, 0.2, 3), "nats-stop": (2, 1, 5), "nats-cut": (2, 0, 0), "nats-hold": (2, 1, 5),
    "redis-kill": (1, 0.2, 4), "redis-stop": (1, 1, 5), "redis-flush": (1, 0, 0), "redis-pause": (1, 1, 4),
    "redis-full": (1, 1, 4), "redis-cut": (1, 0, 0), "redis-hold": (1, 1, 4),
}
CLUSTER = {
    **SINGLE, "nats-kill": (4, 1, 12), "nats-stop": (3, 2, 12), "nats-isolate": (3, 4, 14), "nats-stepdown": (3, 0, 0),
}
TABLES = {"single": SINGLE, "cluster": CLUSTER}
EVERY = 5
#: Two at once, when their targets differ: R-02 is about that.
SECOND = 0.25
#: Every group has at most one fault at a time.
LANES = ("gateway", "nats", "redis")


class Fault:
    def __init__(self, moment, kind, table, rng):
        self.moment, self.kind = moment, kind
        _, least, most = table[kind]
        self.seconds = rng.uniform(least, most)
        #: Decides the target: a number of a gateway or node, below 0.5 the leader, and so on.
        self.pick, self.choice = rng.randrange(1 << 30), rng.random()

    @property
    def lane(self):
        return self.kind.split("-")[0]

    def __str__(self):
        return f"{self.kind} for {self.seconds:.1f} s" if self.seconds else self.kind


def schedule(seed, topology, seconds, kinds):
    """The faults of a run, in order; the same for the same arguments."""
    rng = random.Random(f"faults/{seed}")
    table = {kind: entry for kind, entry in TABLES[topology].items() if kind in kinds}
    faults, busy_until, moment = [], dict.fromkeys(LANES, 0), EVERY * 0.6
    while table and moment < seconds - 1:
        wanted = 2 if rng.random() < SECOND else 1
        for kind in rng.choices(list(table), [entry[0] for entry in table.values()], k=wanted):
            fault = Fault(moment, kind, table, rng)
            if busy_until[fault.lane] <= moment:
                faults.append(fault)
                busy_until[fault.lane] = moment + fault.seconds + 1
        moment += EVERY * rng.uniform(0.7, 1.3)
    return faults


class Injector:
    """Carries faults out, and undoes each when its time is over."""

    def __init__(self, topology, oracle, say):
        self.topology, self.oracle, self.say = topology, oracle, say
        self.counts = {}
        self.problems = []
        #: When Redis could not take counts: pairs of times, the second None while it lasts.
        self.redis_away = []
        self.redis_was_reset = False
        self.gateway_kills = 0
        self.ready_seconds = []
        self._lanes = {lane: asyncio.Lock() for lane in LANES}

    async def run(self, faults, seconds):
        clock = asyncio.get_running_loop().time
        begin, tasks = clock(), []
        for fault in faults:
            await asyncio.sleep(max(0, begin + fault.moment - clock()))
            tasks.append(asyncio.create_task(self._inject(fault, clock() - begin)))
        await asyncio.sleep(max(0, begin + seconds - clock()))
        await asyncio.gather(*tasks)

    async def _inject(self, fault, elapsed):
        self.counts[fault.kind] = self.counts.get(fault.kind, 0) + 1
        # What is still being started is left alone; the schedule itself keeps the lanes apart when all goes well.
        async with self._lanes[fault.lane]:
            await getattr(self, "_" + fault.kind.replace("-", "_"))(fault, elapsed)

    # Gateways

    def _gateway(self, fault, elapsed):
        gateway = self.topology.gateways[fault.pick % len(self.topology.gateways)]
        self.say(elapsed, f"{fault} on {gateway.name}")
        return gateway

    async def _start(self, gateway):
        clock = asyncio.get_running_loop().time
        began = clock()
        self.oracle.begin_stay(gateway.number)
        gateway.start()
        while not await asyncio.to_thread(gateway.is_ready):
            if not gateway.is_running():
                self.problems.append(f"{gateway.name} ended by itself:\n{gateway.log_tail()}")
                return
            if clock() - began > 60:
                return  # Why is in its log; without a quorum it cannot be ready, and the end of the run waits for it.
            await asyncio.sleep(0.1)
        self.ready_seconds.append(round(clock() - began, 2))

    async def _gateway_kill(self, fault, elapsed):
        gateway = self._gateway(fault, elapsed)
        stay, now = self.oracle.stay(gateway.number), asyncio.get_running_loop().time()
        stay.end = "killed"
        gateway.signal(signal.SIGKILL)
        await asyncio.to_thread(gateway.kill)
        self.gateway_kills += 1
        self.oracle.excuse(stay, self._unflushed_since(now))
        await asyncio.sleep(fault.seconds)
        await self._start(gateway)

    async def _gateway_term(self, fault, elapsed):
        gateway = self._gateway(fault, elapsed)
        stay, now = self.oracle.stay(gateway.number), asyncio.get_running_loop().time()
        stay.end = "terminated"
        status = await asyncio.to_thread(gateway.stop, 40)
        if status != 0:
            self.problems.append(f"{gateway.name} ended with {status} after SIGTERM:\n{gateway.log_tail()}")
        if self._redis_was_away_between(now, asyncio.get_running_loop().time()):
            self.oracle.excuse(stay, self._unflushed_since(now))
        await self._start(gateway)

    async def _gateway_stop(self, fault, elapsed):
        gateway = self._gateway(fault, elapsed)
        gateway.signal(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        gateway.signal(signal.SIGCONT)

    # NATS

    async def _node(self, fault, elapsed):
        """The stream's leader every second time, else any node."""
        leader = await self.topology.leader() if fault.choice < 0.5 and self.topology.size > 1 else None
        node = self.topology.nodes[fault.pick % self.topology.size if leader is None else leader]
        self.say(elapsed, f"{fault} on {node.name}{'' if leader is None else ' (leader)'}")
        return node

    async def _nats_kill(self, fault, elapsed):
        node = await self._node(fault, elapsed)
        self.topology.away.add(node.number)
        await asyncio.to_thread(node.kill)
        await asyncio.sleep(fault.seconds)
        node.start()
        for _ in range(300):
            if await asyncio.to_thread(node.answers):
                break
            await asyncio.sleep(0.1)
        else:
            self.problems.append(f"{node.name} does not start:\n{node.log_tail()}")
        self.topology.away.discard(node.number)

    async def _nats_stop(self, fault, elapsed):
        node = await self._node(fault, elapsed)
        self.topology.away.add(node.number)
        node.signal(signal.SIGSTOP)
        await asyncio.sleep(fault.seconds)
        node.signal(signal.SIGCONT)
        self.topology.away.discard(node.number)

    async def _nats_isolate(self, fault, elapsed):
        node = await self._node(fault, elapsed)
        self.topology.away.add(node.number)
        self.topology.isolate(node.number, "cut" if fault.pick % 2 else "hold")
        await asyncio.sleep(fault.seconds)
        self.topology.heal_routes()
        self.topology.away.discard(node.number)

    async def _nats_stepdown(self, fault, elapsed):
        answer = await self.topology.api("STREAM.LEADER.STEPDOWN.SLUICE_EVENTS")
        self.say(elapsed, f"{fault.kind}: {'done' if answer and answer.get('success') else 'refused'}")

    async def _nats_cut(self, fault, elapsed):
        gateway = self._gateway(fault, elapsed)
        for relay in self.topology.nats_relays[gateway.number]:
            relay.drop()

    async def _nats_hold(self, fault, elapsed):
        gateway = self._gateway(fault, elapsed)
        for relay in self.topology.nats_relays[gateway.number]:
            relay.hold()
        await asyncio.sleep(fault.seconds)
        for relay in self.topology.nats_relays[gateway.number]:
            relay.heal()

    # Redis

    async def _redis_off(self, fault, elapsed, begin, end):
        clock = asyncio.get_running_loop().time
        self.say(elapsed, str(fault))
        away = [clock(), None]
        self.redis_away.append(away)
        await asyncio.to_thread(begin)
        await asyncio.sleep(fault.seconds)
        await asyncio.to_thread(end)
        away[1] = clock()

    async def _redis_kill(self, fault, elapsed):
        self.redis_was_reset = True
        await self._redis_off(fault, elapsed, self.topology.redis.kill, self.topology.redis.start)

    async def _redis_stop(self, fault, elapsed):
        redis = self.topology.redis
        await self._redis_off(
            fault, elapsed, lambda: redis.signal(signal.SIGSTOP), lambda: redis.signal(signal.SIGCONT)
        )

    async def _redis_flush(self, fault, elapsed):
        self.redis_was_reset = True
        self.say(elapsed, fault.kind)
        await asyncio.to_thread(self.topology.redis.command, "FLUSHALL")

    async def _redis_pause(self, fault, elapsed):
        milliseconds = str(int(fault.seconds * 1000))
        redis = self.topology.redis
        await self._redis_off(fault, elapsed, lambda: redis.command("CLIENT", "PAUSE", milliseconds), lambda: None)

    async def _redis_full(self, fault, elapsed):
        redis = self.topology.redis
        await self._redis_off(
            fault, elapsed, lambda: redis.command("CONFIG", "SET", "maxmemory", "1"),
            lambda: redis.command("CONFIG", "SET", "maxmemory", "0"),
        )

    async def _redis_cut(self, fault, elapsed):
        self.say(elapsed, fault.kind)
        now = asyncio.get_running_loop().time()
        self.redis_away.append([now, now])
        for relay in self.topology.redis_relays:
            relay.drop()

    async def _redis_hold(self, fault, elapsed):
        def all_relays(what):
            for relay in self.topology.redis_relays:
                getattr(relay, what)()

        # On this loop's thread, which owns the relays.
        clock = asyncio.get_running_loop().time
        self.say(elapsed, str(fault))
        away = [clock(), None]
        self.redis_away.append(away)
        all_relays("hold")
        await asyncio.sleep(fault.seconds)
        all_relays("heal")
        away[1] = clock()

    # What counts may be missing when a gateway is killed

    #: A flush interval of 250 ms, and what a busy machine adds to it.
    FLUSH_SECONDS = 1.0
    #: How long a gateway may take to be back at Redis after an outage.
    RETURN_SECONDS = 8

    def _unflushed_since(self, moment):
        since = moment - self.FLUSH_SECONDS
        for begin, end in reversed(self.redis_away):
            if end is None or end + self.RETURN_SECONDS >= since:
                since = min(since, begin - self.FLUSH_SECONDS)
        return since

    def _redis_was_away_between(self, begin, end):
        return any(
            (stop is None or stop + self.RETURN_SECONDS >= begin) and start <= end for start, stop in self.redis_away
        )
