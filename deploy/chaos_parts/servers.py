"""The servers and the gateways that a run starts."""

import http.client
import os
import socket

from processes import Process, free_port


def http_get(port, path, timeout=3):
    """Status and body of a GET, or (None, b'') without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None, b""
    finally:
        connection.close()


class RefusingPort:
    """A port that is taken and refuses every connection.

    It is what a node tells the others to be its address: they would connect past the relays otherwise.
    """

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]


class Node(Process):
    """A nats-server."""

    def __init__(self, binary, folder, number):
        self.number = number
        self.port, self.route_port = free_port(), free_port()
        self.refusing = RefusingPort()
        self.config_path = os.path.join(folder, f"nats{number}.conf")
        self.store = os.path.join(folder, f"nats{number}")
        super().__init__(f"nats{number}", [binary, "-c", self.config_path], folder)

    def configure(self, routes):
        lines = [
            f'listen: "127.0.0.1:{self.port}"', f'server_name: "{self.name}"',
            f'jetstream {{ store_dir: "{self.store}" }}',
        ]
        if routes:
            urls = ", ".join(f'"nats-route://127.0.0.1:{port}"' for port in routes)
            lines.append(
                f'cluster {{ name: "chaos", listen: "127.0.0.1:{self.route_port}", no_advertise: true, '
                f'advertise: "127.0.0.1:{self.refusing.port}", routes: [{urls}] }}'
            )
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.settimeout(1)
                return connection.recv(5) == b"INFO "
        except OSError:
            return False


class Redis(Process):
    def __init__(self, folder):
        self.port = free_port()
        store = os.path.join(folder, "redis")
        os.makedirs(store, exist_ok=True)
        argv = [
            "redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", store, "--save", "",
            "--appendonly", "yes", "--appendfsync", "everysec",
        ]
        super().__init__("redis", argv, folder)

    def command(self, *words):
        """Sends one command on a connection of its own: the first line of the answer, or None."""
        text = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.settimeout(2)
                connection.sendall(f"*{len(words)}\r\n{text}".encode())
                return connection.recv(512).split(b"\r\n")[0].decode()
        except OSError:
            return None


class Gateway(Process):
    """A gateway; one of several in front of the same streams."""

    def __init__(self, binary, folder, number, environment):
        self.number = number
        self.port = free_port()
        own = {"API_HOST": "127.0.0.1", "API_PORT": str(self.port)}
        inherited = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}
        super().__init__(f"gateway{number}", [binary, "serve"], folder, {**inherited, **environment, **own})

    def is_ready(self):
        return http_get(self.port, "/health/ready")[0] == 200
