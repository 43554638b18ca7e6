"""The usual way from JetStream to a webhook: nats-py and aiohttp. What Sluice's delivery is compared with.

It pulls from a durable consumer, posts what lies in the stream as it is, at most 64 at a time, and acknowledges after a
2xx. It starts to pull at SIGUSR1, so that its start is not part of what is measured.
usage: python_loop.py URL STREAM CONSUMER SINK
"""

import asyncio
import signal
import sys

import aiohttp
import nats

IN_FLIGHT = 64


async def run(url, stream, consumer, sink):
    connection = await nats.connect(url)
    subscription = await connection.jetstream().pull_subscribe_bind(consumer, stream=stream)
    places = asyncio.Semaphore(IN_FLIGHT)
    running = set()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as session:

        async def deliver(message):
            try:
                async with session.post(sink, data=message.data, headers=headers) as answer:
                    await answer.read()
                    if 200 <= answer.status < 300:
                        await message.ack()
                    else:
                        await message.nak(delay=5)
            except aiohttp.ClientError:
                await message.nak(delay=5)
            finally:
                places.release()

        headers = {"Content-Type": "application/cloudevents+json"}
        started = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, started.set)
        print("ready", flush=True)
        await started.wait()
        while True:
            try:
                messages = await subscription.fetch(IN_FLIGHT, timeout=5)
            except nats.errors.TimeoutError:
                continue
            for message in messages:
                await places.acquire()
                task = asyncio.create_task(deliver(message))
                running.add(task)
                task.add_done_callback(running.discard)


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
