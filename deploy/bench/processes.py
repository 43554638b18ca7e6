"""Processes that a benchmark starts, what they cost, and how they are stopped: by pid, whatever happens."""

import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class BenchError(Exception):
    """Something the user of the benchmark should read, without a traceback."""


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what, process=None):
    """Asks until the condition holds; a process that ended in the meantime is an error that shows its log."""
    deadline = time.monotonic() + seconds
    while True:
        if process is not None and process.has_ended():
            raise BenchError(f"{process.name} ended while waiting until {what}:\n{process.log_tail()}")
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            log = "\n" + process.log_tail() if process else ""
            raise BenchError(f"waited {seconds} s until {what}{log}")
        time.sleep(0.02)


class ManagedProcess:
    """A child with a log file, stopped at the end of its `with` block together with its own children."""

    def __init__(self, name, command, log_path, environment=None):
        self.name, self.log_path = name, log_path
        with open(log_path, "wb") as log:
            try:
                self._child = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                    start_new_session=True, preexec_fn=_die_with_parent,
                )
            except OSError as error:
                raise BenchError(f"cannot start {name}: {error}") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def pid(self):
        return self._child.pid

    def has_ended(self):
        return self._child.poll() is not None

    def log_tail(self):
        with open(self.log_path, errors="replace") as log:
            return "".join("  | " + line for line in log.readlines()[-15:])

    def stop(self):
        family = self.pids()
        if not self.has_ended():
            self._child.terminate()
            try:
                self._child.wait(15)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        for pid in family[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pids(self):
        """The process and all that it started."""
        family = [self.pid]
        for pid in family:
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/children") as children:
                        family += [int(child) for child in children.read().split()]
        return family

    def cpu_seconds(self):
        return sum(_cpu_seconds(pid) for pid in self.pids())

    def memory_mib(self, field="VmRSS"):
        """`VmRSS` is what it holds now, `VmHWM` the most it ever held."""
        return sum(_status_kib(pid, field) for pid in self.pids()) / 1024


def _cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            # The name in parentheses may hold anything; utime and stime are the 12th and 13th field after it.
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def _status_kib(pid, field):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


def run_measured(command, what, timeout, may_fail=False):
    """Runs a program to its end: its output and the CPU seconds of it and of what it waited for."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=_die_with_parent,
    ) as child:
        try:
            before = os.times()
            output = child.communicate(timeout=timeout)[0].decode(errors="replace")
            after = os.times()
        except BaseException as error:
            child.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise BenchError(f"{what} did not end within {timeout} s") from None
            raise
    if child.returncode != 0 and not may_fail:
        raise BenchError(f"{what} failed with status {child.returncode}:\n{output[-2000:]}")
    cpu = (after.children_user - before.children_user) + (after.children_system - before.children_system)
    return output, cpu


def get_status(port, path, timeout=2):
    """The status of a GET, or None if there is no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
