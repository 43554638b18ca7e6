"""Measures how fast Sluice publishes and delivers events, what that costs, and how it compares.

Every measurement has a nats-server of its own with an empty file store and a fresh gateway; rounds are interleaved and
medians are shown. CPU is that of the whole process (user and system) from before the load until after it.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys

import report
from deliverers import PARTICIPANTS
from gateways import ROOT, Sluice
from processes import BenchError
from scenarios import SCENARIOS

EXAMPLES = """examples:
  deploy/bench/run                                   everything but the clean build, 3 rounds of 4 s
  deploy/bench/run --only single-binary --gateways sluice --rounds 5
  deploy/bench/run --only yardstick --only batch100 --server current --json results.json
  deploy/bench/run --only pull --only webhook        what delivery costs, beside C and Python
  HTTP_THREADS=2 deploy/bench/run --only one-connection    settings of the gateway pass through
  deploy/bench/run --build                           also a clean release build, which takes minutes

scenarios:
"""


def parse_arguments():
    width = max(map(len, SCENARIOS))
    listed = "\n".join(f"  {name.ljust(width)}  {what}" for name, (what, _, _) in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="deploy/bench/run", description=__doc__, epilog=EXAMPLES + listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", action="append", choices=SCENARIOS, metavar="NAME", help="this scenario alone; may be repeated")
    add("--gateways", default=",".join(PARTICIPANTS), metavar="LIST", help="of %(default)s")
    add("--rounds", type=positive, default=3, metavar="N", help="how often each is measured (default %(default)s)")
    add("--seconds", type=positive, default=4, metavar="S", help="of load for each (default %(default)s)")
    add("--connections", type=positive, default=64, metavar="N", help="HTTP connections (default %(default)s)")
    add("--in-flight", type=positive, default=1024, metavar="N", help="the yardstick's window (default %(default)s)")
    add("--server", choices=["debian", "current"], default="debian", help="which nats-server (default %(default)s)")
    add("--build", action="store_true", help="measure a clean release build too")
    add("--profile", action="store_true", help="print where the gateway's CPU time goes (needs perf)")
    add("--json", metavar="FILE", help="write every single measurement and the medians; - for standard output")
    built = os.path.join(ROOT, ".build/release/sluice")
    add("--gateway-binary", default=built, metavar="PATH", help="another build of sluice, which is measured as it is")
    add("--baseline-binary", metavar="PATH", help="an earlier build of sluice, beside which idle-subscription is shown")
    options = parser.parse_args()
    options.gateways = [name.strip() for name in options.gateways.split(",") if name.strip()]
    unknown = [name for name in options.gateways if name not in PARTICIPANTS]
    if unknown:
        parser.error(f"no such gateway: {', '.join(unknown)} (there are: {', '.join(PARTICIPANTS)})")
    options.scenarios = options.only or [name for name in SCENARIOS if name != "build"]
    if options.build and "build" not in options.scenarios:
        options.scenarios.append("build")
    if not any(participants(name, options) for name in options.scenarios):
        parser.error(f"nothing to measure: no scenario asked for is one for {options.gateways}")
    return options


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def prepare(options):
    """Finds the programs."""
    options.python = sys.executable
    current = os.path.join(os.path.dirname(sys.executable), "nats-server")
    options.nats_server = current if options.server == "current" else shutil.which("nats-server", path=system_path())
    if not options.nats_server or not os.path.exists(options.nats_server):
        raise BenchError("no nats-server: run deploy/install --bench")
    if shutil.which("wrk") is None:
        raise BenchError("no wrk: run deploy/install --bench")
    wanted = {name for scenario in options.scenarios for name in participants(scenario, options)}
    needs_sluice = any(issubclass(PARTICIPANTS.get(name, object), Sluice) for name in wanted)
    if needs_sluice and not os.path.exists(options.gateway_binary):
        raise BenchError(f"no {options.gateway_binary}: run swift build -c release --product sluice")
    if options.baseline_binary and not os.path.exists(options.baseline_binary):
        raise BenchError(f"no {options.baseline_binary}")


def system_path():
    """Debian's servers are in /usr/sbin, and a virtual environment's nats-server is another one."""
    own = os.path.dirname(sys.executable)
    folders = [folder for folder in os.environ.get("PATH", "").split(":") if folder != own]
    return ":".join(folders + ["/usr/sbin"])


def participants(scenario, options):
    """Who is measured in a scenario; what needs no gateway has a name of its own."""
    wanted = SCENARIOS[scenario][2]
    if wanted is None:
        return ["raw cnats" if scenario == "yardstick" else "swift build"]
    return [
        name for name in options.gateways if name in wanted and (name != "baseline" or options.baseline_binary)
    ]


def peak_finder(records, options):
    """The rate that a gateway reaches with single binary events: as measured, or measured now."""

    def rates(gateway):
        return [
            record["events_per_s"] for record in records
            if record["scenario"] == "single-binary" and record["gateway"] == gateway
        ]

    def peak(gateway):
        if not rates(gateway):
            measure("single-binary", gateway, 0, records, options)
        return statistics.median(rates(gateway))

    return peak


def measure(scenario, gateway, round_number, records, options):
    print(f"  {scenario}, {report.label(gateway)} ... ", end="", file=sys.stderr, flush=True)
    record = SCENARIOS[scenario][1](gateway, options, peak_finder(records, options))
    records.append({"scenario": scenario, "gateway": gateway, "round": round_number, **record})
    shown = [
        form.format(record[field]) + " " + heading
        for field, (heading, form) in report.COLUMNS.items() if field in record and field != "stored"
    ]
    print(", ".join(shown), file=sys.stderr)


def run_rounds(options):
    """Rounds are interleaved: what else the machine does then falls on all alike. A failure ends only its own run."""
    records, problems = [], []
    for round_number in range(1, options.rounds + 1):
        print(f"round {round_number} of {options.rounds}", file=sys.stderr)
        for scenario in options.scenarios:
            if scenario == "build" and round_number > 1:
                continue
            for gateway in participants(scenario, options):
                try:
                    measure(scenario, gateway, round_number, records, options)
                except BenchError as error:
                    print(f"FAILED\n{error}", file=sys.stderr)
                    problems.append(f"{scenario}, {report.label(gateway)}: {str(error).splitlines()[0]}")
    return records, problems


def machine(options):
    version = subprocess.run([options.nats_server, "--version"], stdout=subprocess.PIPE).stdout.decode().strip()
    return {"processors": os.cpu_count(), "system": platform.platform(), "nats_server": version,
            "load_average": os.getloadavg()}


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        prepare(options)
        about = machine(options)
        print(f"{about['nats_server']}, {about['processors']} processors, load {about['load_average'][0]:.1f}, "
              f"{options.connections} connections, {options.seconds} s each", file=sys.stderr)
        if about["load_average"][0] > 0.5 * about["processors"]:
            print("warning: this machine is busy with other things; trust ratios, not figures", file=sys.stderr)
        records, problems = run_rounds(options)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    middle = report.medians(records)
    if options.json != "-" and records:
        print(report.text(middle))
    if options.json:
        write_json(options.json, about, records, middle, problems)
    for problem in problems:
        print(f"failed: {problem}", file=sys.stderr)
    dishonest = [record for record in records if not record.get("honest", True)]
    for record in dishonest:
        counts = ", ".join(f"{name} {record[name]:.0f}" for name in ("events", "stored", "settled") if name in record)
        print(f"failed: {record['scenario']}, {report.label(record['gateway'])}: {counts}", file=sys.stderr)
    return 1 if problems or dishonest else 0


def write_json(path, about, records, middle, problems):
    named = [{"scenario": scenario, "gateway": gateway, **record} for (scenario, gateway), record in middle.items()]
    document = {"machine": about, "medians": named, "measurements": records, "failed": problems}
    if path == "-":
        print(json.dumps(document, indent=1))
    else:
        with open(path, "w") as file:
            json.dump(document, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
