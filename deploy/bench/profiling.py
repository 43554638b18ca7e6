"""Where a gateway's CPU time goes, by Linux perf."""

import contextlib
import os
import shutil
import subprocess
import sys

from processes import BenchError, ManagedProcess, run_measured


@contextlib.contextmanager
def profiled(gateway, folder, options):
    """Samples the gateway's process during the `with` block and prints the top symbols after it."""
    if not options.profile:
        yield
        return
    if shutil.which("perf") is None:
        raise BenchError("--profile needs perf: apt-get install linux-perf")
    samples = os.path.join(folder, "perf.data")
    command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "999", "-o", samples, "-p", str(gateway.pid)]
    with ManagedProcess("perf", command, os.path.join(folder, "perf.log")) as perf:
        yield
        if perf.has_ended():
            raise BenchError(f"perf ended early:\n{perf.log_tail()}")
    for keys in ("comm", "dso", "dso,symbol"):
        print(f"\n    by {keys}", file=sys.stderr)
        report = ["perf", "report", "--stdio", "-q", "--percent-limit", "0.5", "--sort", keys, "-i", samples]
        output, _ = run_measured(report, "perf report", 120)
        lines = [" ".join(line.removesuffix("-").split()) for line in demangled(output).splitlines() if "%" in line]
        print("\n".join(f"    {line[:160]}" for line in lines[:40]), file=sys.stderr)


def demangled(text):
    """Swift's names as a person wrote them."""
    swift = ["swift", "demangle", "--simplified"]
    return subprocess.run(swift, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout.decode()
