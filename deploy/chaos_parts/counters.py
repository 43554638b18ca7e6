"""R-32: the counters in Redis and those of /metrics, against what the clients were told."""

import asyncio
import json
import re

from load import TENANTS
from servers import http_get


async def judge(verdict, topology, oracle, injector):
    """Compares all counters; what the gateways have no route for is said, and not compared."""
    await _judge_tenants(verdict, topology, oracle, injector)
    await _judge_metrics(verdict, topology, oracle)


async def _judge_tenants(verdict, topology, oracle, injector):
    path = "/v1/tenants/{}/metrics"
    acked, unseen = oracle.totals("acked"), oracle.totals("unseen")
    status, _ = await asyncio.to_thread(http_get, topology.gateways[0].port, path.format(TENANTS[0]))
    verdict.facts["tenantMetrics"] = "answered" if status == 200 else f"not there ({status})"
    if status != 200:
        return
    found = {}
    for tenant in TENANTS:
        found[tenant] = await _settled(topology.gateways[0].port, path.format(tenant), acked[tenant], injector)
        other = await _accepted(topology.gateways[1].port, path.format(tenant))
        if other != found[tenant]:
            verdict.violations.setdefault("counters", []).append(
                f"{tenant}: one gateway says {found[tenant]}, the other {other}"
            )
        if found[tenant] is None:
            verdict.violations.setdefault("counters", []).append(f"{tenant}: no counter")
            continue
        verdict.judge_counter(
            f"accepted of {tenant} in Redis", found[tenant], acked[tenant], unseen[tenant],
            missing=oracle.may_be_missing[tenant], exact=not injector.redis_was_reset,
        )
    verdict.facts["redisAccepted"] = found
    verdict.facts["toldAccepted"] = {tenant: acked[tenant] for tenant in TENANTS}
    verdict.facts["mayBeMissing"] = dict(oracle.may_be_missing)


async def _settled(port, path, wanted, injector):
    """The counter once it has what it should have, or, when it may have less, once it rests."""
    found, resting = None, 0
    for _ in range(150):
        before, found = found, await _accepted(port, path)
        resting = resting + 1 if found == before else 0
        if found == wanted or resting >= 50 and (injector.redis_was_reset or injector.gateway_kills):
            break
        await asyncio.sleep(0.1)
    return found


async def _accepted(port, path):
    status, body = await asyncio.to_thread(http_get, port, path)
    return json.loads(body).get("accepted") if status == 200 else None


async def _judge_metrics(verdict, topology, oracle):
    answered = 0
    for gateway in topology.gateways:
        stay = oracle.stay(gateway.number)
        acked, unseen = sum(stay.acked.values()), sum(stay.unseen.values())
        found = None
        for _ in range(50):
            found = await _sample(gateway.port, b"sluice_events_accepted_total")
            if found is None or acked <= found <= acked + unseen:
                break
            await asyncio.sleep(0.1)
        if found is not None:
            answered += 1
            verdict.judge_counter(f"sluice_events_accepted_total of {gateway.name}", found, acked, unseen)
    verdict.facts["metrics"] = f"{answered} of {len(topology.gateways)} answered"


async def _sample(port, name):
    """A metric without labels: its value, -1 where it is missing, None where /metrics does not answer."""
    status, body = await asyncio.to_thread(http_get, port, "/metrics")
    if status != 200:
        return None
    found = re.search(rb"^%s(?:\{[^}]*\})? (\S+)" % name, body, re.MULTILINE)
    return float(found[1]) if found else -1
