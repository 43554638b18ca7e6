"""Clients that publish at a steady rate and send again, with the same id, what was not acknowledged."""

import asyncio
import functools
import json
import random

import oracle as model

TENANTS = ("chaos-a", "chaos-b", "chaos-c")
#: Longer than anything a gateway may take: its deadlines, and the time for which it may be stopped.
ANSWER_SECONDS = 40
WORKERS = 24


class NotSent(Exception):
    """The connection was refused: the gateway has not seen the request."""


class Connection:
    """One HTTP/1.1 connection that is kept while the gateway keeps it."""

    def __init__(self, port, current_stay):
        self._port, self._current_stay = port, current_stay
        self._reader = self._writer = None
        #: Of the process that the last request was sent to.
        self.stay = None

    async def post(self, content_type, tenant, body):
        """Status and JSON of the answer; `NotSent`, or another error when no answer came."""
        if self._reader is not None and (self._reader.at_eof() or self.stay is not self._current_stay()):
            self.close()  # The gateway has ended an idle connection, as it may, or its process has ended.
        try:
            if self._writer is None:
                opened = asyncio.open_connection("127.0.0.1", self._port)
                self._reader, self._writer = await asyncio.wait_for(opened, 5)
        except (OSError, asyncio.TimeoutError) as error:
            raise NotSent from error
        # Only now: a gateway that is about to end lets nobody connect, and who tries is let in by the next process. A
        # stay begins when the last process is gone and the next one is not there yet: what is written now, without an
        # `await` before it, can be answered by the process of this stay alone.
        self.stay = self._current_stay()
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: chaos\r\nContent-Type: {content_type}\r\nX-Tenant-ID: {tenant}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        try:
            self._writer.write(head.encode() + body)
            return await asyncio.wait_for(self._answer(), ANSWER_SECONDS)
        except BaseException:
            self.close()
            raise

    async def _answer(self):
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        text = await self._reader.readexactly(int(fields["content-length"]))
        if fields.get("connection") == "close":
            self.close()
        return int(lines[0].split(" ")[1]), json.loads(text)

    def close(self):
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


class Load:
    """The clients of a run."""

    def __init__(self, topology, oracle, seed, rate):
        self.topology, self.oracle = topology, oracle
        self._seed, self._rate = seed, rate
        #: No new events, but what was begun is brought to its end.
        self.is_ending = False
        #: Not even that.
        self.is_over = False
        self._tasks = []

    def start(self):
        self._tasks = [asyncio.create_task(self._run(worker)) for worker in range(WORKERS)]

    async def end(self, seconds):
        """Whether everything that was begun came to its end in time."""
        self.is_ending = True
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        self.is_over = True
        for task in late:
            task.cancel()
        for task in self._tasks:
            if task not in late:
                task.result()
        return not late

    async def _run(self, worker):
        rng = random.Random(f"{self._seed}/{worker}")
        connections = [
            Connection(gateway.port, functools.partial(self.oracle.stay, gateway.number))
            for gateway in self.topology.gateways
        ]
        clock = asyncio.get_running_loop().time
        count, due = 0, clock() + rng.random() * WORKERS / self._rate
        while not self.is_ending:
            size = rng.choice((2, 5, 20)) if rng.random() < 0.05 else 1
            tenant = rng.choice(TENANTS)
            events = {}
            for number in range(count, count + size):
                text = f"{rng.getrandbits(64):x}" * rng.randint(1, 12)
                events[f"{worker}-{number}"] = model.make_event(f"{worker}-{number}", text)
            count += size
            self.oracle.attempts.update(events)
            is_once = rng.random() < 0.1
            await self._publish(connections, rng, tenant, events, is_once)
            # No more than a second is made up for: after an outage the rate stays what it is.
            due = max(due + size * WORKERS / self._rate, clock() - 1)
            await asyncio.sleep(max(0, due - clock()))

    async def _publish(self, connections, rng, tenant, events, is_once):
        gateway, pause = rng.randrange(len(connections)), 0.05
        while events and not self.is_over:
            acked = await self._send(connections[gateway], tenant, events)
            events = {identity: event for identity, event in events.items() if identity not in acked}
            if is_once or not events:
                return
            await asyncio.sleep(pause * (0.5 + rng.random()))
            gateway, pause = (gateway + 1) % len(connections), min(1, pause * 2)

    async def _send(self, connection, tenant, events):
        """The ids that were acknowledged."""
        ids = list(events)
        is_batch = len(ids) > 1
        content_type = "application/cloudevents-batch+json" if is_batch else "application/cloudevents+json"
        body = json.dumps(list(events.values()) if is_batch else events[ids[0]]).encode()
        try:
            status, answer = await connection.post(content_type, tenant, body)
        except NotSent:
            return []
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError):
            self.oracle.no_answer(connection.stay, tenant, ids)
            return []
        results = answer.get("results") if is_batch else None
        if results is None:
            results = [{"status": status, "sequence": answer.get("sequence")}] * len(ids)
        now = asyncio.get_running_loop().time()
        for identity, result in zip(ids, results):
            entry = result.get("status", status)
            self.oracle.answer(connection.stay, tenant, identity, entry, result.get("sequence"), now)
        return [identity for identity, result in zip(ids, results) if result.get("status", status) == 202]
