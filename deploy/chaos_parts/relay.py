"""A TCP relay on loopback that can be cut, or hold everything back, without privileges."""

import asyncio
import contextlib

PIECE = 65_536


class Relay:
    """Passes connections to a port of loopback.

    `cut` closes all connections and closes new ones at once. `hold` keeps them and lets nothing pass; what was sent in
    the meantime comes when the relay is opened again.
    """

    def __init__(self, target):
        self.target = target
        self.port = 0
        self._is_cut = False
        self._open = asyncio.Event()
        self._open.set()
        self._writers = set()
        self._server = None

    async def start(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=PIECE)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self):
        self._is_cut = True
        self.drop()

    def drop(self):
        """Closes the connections that there are; new ones pass."""
        for writer in list(self._writers):
            writer.transport.abort()

    def hold(self):
        self._open.clear()

    def heal(self):
        self._is_cut = False
        self._open.set()

    def stop(self):
        if self._server:
            self._server.close()
        self.drop()

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        far_writer = None
        try:
            await self._open.wait()
            if self._is_cut:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=PIECE)
            self._writers.add(far_writer)
            pumps = [
                asyncio.create_task(self._pump(reader, far_writer)), asyncio.create_task(self._pump(far_reader, writer))
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
        except (OSError, asyncio.CancelledError):
            pass  # Cancelled only when the program ends; the streams' own callback would complain about it.
        finally:
            for end in (writer, far_writer):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()

    async def _pump(self, reader, writer):
        with contextlib.suppress(OSError):
            while True:
                await self._open.wait()
                piece = await reader.read(PIECE)
                await self._open.wait()
                if not piece:
                    return
                writer.write(piece)
                await writer.drain()
