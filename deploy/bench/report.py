"""Medians over the rounds, as a table for people, and held against what the project promises."""

import math
import statistics

from deliverers import PARTICIPANTS
from scenarios import SCENARIOS

#: field → (heading, format)
COLUMNS = {
    "rate": ("wanted/s", "{:,.0f}"),
    "events_per_s": ("events/s", "{:,.0f}"),
    "p50_ms": ("p50 ms", "{:.2f}"),
    "p99_ms": ("p99 ms", "{:.2f}"),
    "cpu_per_100k": ("CPU s/100k", "{:.2f}"),
    "server_cpu_per_100k": ("nats CPU", "{:.2f}"),
    "load_cpu_per_100k": ("load CPU", "{:.2f}"),
    "rss_mib": ("RSS MiB", "{:.1f}"),
    "peak_mib": ("peak MiB", "{:.1f}"),
    "added_mib": ("added MiB", "{:.1f}"),
    "scrape_ms": ("scrape ms", "{:.1f}"),
    "scrape_kib": ("page KiB", "{:.0f}"),
    "cpu_seconds": ("CPU s", "{:.0f}"),
    "repeated": ("repeated", "{:,.0f}"),
    "idle_share": ("idle % CPU", "{:.1f}"),
    "subscribe_ms": ("ms to subscribe", "{:.1f}"),
    "stored": ("stored", "{:,.0f}"),
    "settled": ("settled", "{:,.0f}"),
    "failures": ("failed", "{:.0f}"),
}


def medians(records):
    """{(scenario, gateway): {field: median}}; the slowest and the fastest rate come along."""
    grouped = {}
    for record in records:
        grouped.setdefault((record["scenario"], record["gateway"]), []).append(record)
    result = {}
    for key, group in grouped.items():
        fields = {name for record in group for name, value in record.items() if isinstance(value, (int, float))}
        result[key] = {
            name: statistics.median(record[name] for record in group if name in record) for name in fields
        }
        result[key]["honest"] = all(record.get("honest", True) for record in group)
        if "failures" in fields:
            result[key]["failures"] = sum(record["failures"] for record in group)
        result[key]["rounds"] = len(group)
        if "events_per_s" in fields:
            rates = [record["events_per_s"] for record in group]
            result[key]["range"] = (min(rates), max(rates))
    return result


def label(gateway):
    return PARTICIPANTS[gateway].label if gateway in PARTICIPANTS else gateway


def table(middle):
    used = [field for field in COLUMNS if any(field in record for record in middle.values())]
    rows = [["scenario", "gateway"] + [COLUMNS[field][0] for field in used] + ["nothing lost"]]
    order = list(SCENARIOS)
    for (scenario, gateway), record in sorted(middle.items(), key=lambda item: order.index(item[0][0])):
        cells = [COLUMNS[field][1].format(record[field]) if field in record else "" for field in used]
        honest = ("yes" if record["honest"] else "NO") if "stored" in record or "settled" in record else ""
        rows.append([scenario, label(gateway)] + cells + [honest])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * len(lines[0])] + lines[1:])


class Figures:
    """Looks up medians and relates them; `None` where something was not measured."""

    def __init__(self, middle):
        self._middle = middle

    def get(self, scenario, field, gateway="sluice"):
        return self._middle.get((scenario, gateway), {}).get(field)

    def ratio(self, above, below):
        top, bottom = self.get(*above), self.get(*below)
        return top / bottom if top is not None and bottom else None


def targets(middle):
    """What is promised: (sentence, measured or None, bound, whether the bound is a floor)."""
    figures = Figures(middle)
    single = ("single-binary", "events_per_s")
    rows = [
        ("single binary: CPU s per 100k events", figures.get("single-binary", "cpu_per_100k"), 3.5, False),
        ("single structured: CPU s per 100k events", figures.get("single-structured", "cpu_per_100k"), 3.5, False),
        ("single binary: times the Python gateway, 2 workers", figures.ratio(single, single + ("python2",)), 7, True),
        (
            "steady 1,000/s: CPU per event, times that at saturation",
            figures.ratio(("steady-1000", "cpu_per_100k"), ("single-binary", "cpu_per_100k")), 3, False,
        ),
        (
            "batch of 100: share of the raw yardstick's events/s",
            figures.ratio(("batch100", "events_per_s"), ("yardstick", "events_per_s", "raw cnats")), 0.7, True,
        ),
        ("batch of 100: CPU s per 100k events", figures.get("batch100", "cpu_per_100k"), 1.0, False),
        ("one request at a time: p50 in ms", figures.get("one-connection", "p50_ms"), 0.25, False),
    ]
    cost = ("watched", "cpu_per_100k")
    rows += [
        (
            "counters, metrics, log and trace context: CPU per event, times that without",
            figures.ratio(cost + ("all",), cost + ("bare",)), 1.1, False,
        ),
        ("reading /metrics under load: median in ms", figures.get("scraped", "scrape_ms"), 50, False),
        (
            "reading /metrics ten times a second: p99, times that without",
            figures.ratio(("scraped", "p99_ms"), ("single-binary", "p99_ms")), 1.2, False,
        ),
    ]
    for share in (30, 50, 70):
        scenario = f"steady-{share}"
        value = figures.ratio((scenario, "p99_ms"), (scenario, "p50_ms"))
        kept_up = figures.ratio((scenario, "events_per_s"), (scenario, "rate"))
        if kept_up is not None and kept_up < 0.95:
            # The queue grew all the time, so its latencies mean nothing.
            value = math.inf
        rows.append((f"at {share} % of the peak: p99, times p50", value, 10, False))
    rows += delivery_targets(figures)
    return rows + [
        ("idle: memory in MiB", figures.get("idle-memory", "rss_mib"), 40, False),
        ("10,000 idle connections: memory added in MiB", figures.get("idle-connections", "added_mib"), 150, False),
        ("clean release build: CPU s", figures.get("build", "cpu_seconds", "swift build"), 600, False),
    ]


def delivery_targets(figures):
    webhook, idle = ("webhook", "cpu_per_100k"), ("idle-subscription", "cpu_per_100k")
    rate = ("idle-subscription", "events_per_s")
    return [
        (
            "pull and settle: share of the raw yardstick's events/s",
            figures.ratio(("pull", "events_per_s"), ("pull", "events_per_s", "fetch")), 0.5, True,
        ),
        (
            "webhook: deliveries per CPU second, times those of the Python loop",
            figures.ratio(webhook + ("loop",), webhook), 5, True,
        ),
        ("webhook: CPU s per 100k deliveries", figures.get(*webhook), 6, False),
        (
            "publishing without a subscription: CPU per event, times that of the earlier build",
            figures.ratio(idle + ("none",), idle + ("baseline",)), 1.03, False,
        ),
        (
            "publishing without a subscription: share of the earlier build's events/s",
            figures.ratio(rate + ("none",), rate + ("baseline",)), 0.97, True,
        ),
    ]


def target_lines(middle):
    for sentence, value, bound, is_floor in targets(middle):
        if value is None:
            continue
        met = value >= bound if is_floor else value <= bound
        wanted = f"{'at least' if is_floor else 'at most'} {bound:g}"
        shown = "did not keep up" if math.isinf(value) else f"{value:.2f}"
        yield f"{'met   ' if met else 'MISSED'}  {sentence}: {shown} ({wanted})"


def text(middle):
    lines = [table(middle)]
    ranges = [
        f"{scenario}, {label(gateway)}: {record['range'][0]:,.0f} to {record['range'][1]:,.0f}"
        for (scenario, gateway), record in middle.items() if record["rounds"] > 1 and "range" in record
    ]
    if ranges:
        lines += ["", "events/s, slowest and fastest round"] + ranges
    promised = list(target_lines(middle))
    if promised:
        lines += ["", "what is promised"] + promised
    return "\n".join(lines)
