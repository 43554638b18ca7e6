"""The benchmark's own C programs: compiled when they are first wanted, and again when their source is newer."""

import glob
import os
import subprocess

from processes import BenchError

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def program(name):
    """The path of a program, whose source is `<name>.c` beside this file."""
    folder = os.path.join(ROOT, ".build", "bench")
    os.makedirs(folder, exist_ok=True)
    source, built = os.path.join(HERE, f"{name}.c"), os.path.join(folder, name)
    newest = max(os.path.getmtime(path) for path in [source, *glob.glob(os.path.join(HERE, "*.h"))])
    if not os.path.exists(built) or os.path.getmtime(built) < newest:
        command = ["cc", "-O2", "-o", built, source, "-lnats", "-lpthread"]
        if subprocess.run(command).returncode != 0:
            raise BenchError(f"cannot compile deploy/bench/{name}.c: run deploy/install --bench")
    return built
