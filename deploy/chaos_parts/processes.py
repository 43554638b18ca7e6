"""Child processes with a log file, signalled and ended by pid; they die with this program."""

import ctypes
import os
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class ChaosError(Exception):
    """Something that the user should read, without a traceback."""


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A program that can be killed, stopped and started again with the same command."""

    def __init__(self, name, argv, folder, environment=None):
        self.name, self.argv, self.environment = name, argv, environment
        self.log_path = os.path.join(folder, f"{name}.log")
        self.child = None

    def start(self):
        with open(self.log_path, "ab") as log:
            try:
                self.child = subprocess.Popen(
                    self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                    start_new_session=True, preexec_fn=_die_with_parent,
                )
            except OSError as error:
                raise ChaosError(f"cannot start {self.name}: {error}") from error

    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def signal(self, number):
        if self.is_running():
            self.child.send_signal(number)

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        if self.child is not None:
            self.child.wait()

    def stop(self, seconds=15):
        """SIGTERM, and SIGKILL when that does not help in time: the exit status, negative for a signal."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self.child.wait(seconds) if self.child else 0
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def log_tail(self, lines=15):
        try:
            with open(self.log_path, errors="replace") as log:
                return "".join(f"  | {line}" for line in log.readlines()[-lines:])
        except OSError:
            return ""


def wait_until(condition, seconds, what, *processes):
    """Asks until the condition holds; for the start, when nothing else goes on."""
    deadline = time.monotonic() + seconds
    while not condition():
        ended = [process for process in processes if not process.is_running()]
        if ended or time.monotonic() > deadline:
            tails = "\n".join(f"{process.name}:\n{process.log_tail()}" for process in processes)
            raise ChaosError(f"waited until {what}\n{tails}")
        time.sleep(0.05)
