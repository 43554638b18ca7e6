"""A redis-server of one's own, for the counters."""

import socket

from processes import ManagedProcess, free_port, wait_until


class RedisServer(ManagedProcess):
    """A real server on a free loopback port, that keeps nothing on disk."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", folder, "--save", ""]
        super().__init__("redis-server", command, f"{folder}/redis-server.log")
        try:
            wait_until(self._answers, 10, "redis-server answers", self)
        except BaseException:
            self.stop()
            raise

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
