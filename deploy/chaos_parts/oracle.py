"""The set model: what was sent, what was acknowledged, what is stored, and what the counters say of it."""

import collections
import hashlib
import json

SOURCE = "/chaos"


def make_event(identity, text):
    """A CloudEvent whose data carries a SHA-256 of its id and its text."""
    digest = hashlib.sha256(f"{identity}:{text}".encode()).hexdigest()
    return {
        "specversion": "1.0", "id": identity, "source": SOURCE, "type": "com.example.chaos",
        "data": {"text": text, "sha256": digest},
    }


def is_whole(event):
    data = event.get("data") or {}
    return data.get("sha256") == hashlib.sha256(f"{event.get('id')}:{data.get('text')}".encode()).hexdigest()


class Stay:
    """A gateway's process from its start to its end, and what its clients saw of it."""

    def __init__(self, gateway):
        self.gateway = gateway
        #: How it ended: `running`, `killed` or `terminated`.
        self.end = "running"
        #: Entries answered 202 by tenant, and entries sent whose answer never came.
        self.acked = collections.Counter()
        self.unseen = collections.Counter()
        #: When each entry was acknowledged, while it may matter for a kill.
        self.recent = collections.deque(maxlen=200_000)


class Oracle:
    """Clients tell it what they send and what they are told."""

    def __init__(self, gateways):
        self.attempts = set()
        self.acked = {}
        #: Ids that got anything but 503: only of the others a 503 promises that they are not stored.
        self.not_only_refused = set()
        self.statuses = collections.Counter()
        self.stays = [[Stay(number)] for number in range(gateways)]
        #: Entries that may be missing from the counters in Redis, by tenant, because a gateway was killed.
        self.may_be_missing = collections.Counter()

    def stay(self, gateway):
        return self.stays[gateway][-1]

    def begin_stay(self, gateway):
        self.stays[gateway].append(Stay(gateway))

    def answer(self, stay, tenant, identity, status, sequence, now):
        self.statuses[status] += 1
        if status != 503:
            self.not_only_refused.add(identity)
        if status == 202:
            self.acked.setdefault(identity, set()).add(sequence)
            stay.acked[tenant] += 1
            stay.recent.append((now, tenant))

    def no_answer(self, stay, tenant, identities):
        self.statuses["no answer"] += len(identities)
        self.not_only_refused.update(identities)
        stay.unseen[tenant] += len(identities)

    def excuse(self, stay, since):
        """A gateway was killed: what it acknowledged since then may not have reached Redis."""
        for moment, tenant in stay.recent:
            if moment >= since:
                self.may_be_missing[tenant] += 1

    def unseen_by_end(self):
        """Entries whose answer never came, by how the gateway ended that should have given it."""
        found = collections.Counter()
        for stays in self.stays:
            for stay in stays:
                found[stay.end] += sum(stay.unseen.values())
        return {end: count for end, count in found.items() if count}

    def totals(self, field):
        total = collections.Counter()
        for stays in self.stays:
            for stay in stays:
                total.update(getattr(stay, field))
        return total


class Verdict:
    """How a run is judged; `violations` has to be empty."""

    def __init__(self):
        self.violations = {}
        self.facts = {}

    def check(self, name, wrong):
        """Notes a list of what is wrong, in short."""
        wrong = list(wrong)
        if wrong:
            self.violations[name] = {"count": len(wrong), "first": [str(item) for item in wrong[:10]]}

    def judge_stream(self, oracle, stored, window):
        """Compares with the stream: `stored` has (sequence, seconds, event or None) of every message."""
        places = collections.defaultdict(list)
        for sequence, seconds, event in stored:
            places[event.get("id") if event else None].append((sequence, seconds))
        self.check("lost", (identity for identity in oracle.acked if identity not in places))
        self.check("unexpected", (identity for identity in places if identity not in oracle.attempts))
        self.check("changed", (sequence for sequence, _, event in stored if not event or not is_whole(event)))
        self.check("misplaced", (
            identity for identity, told in oracle.acked.items()
            if identity in places and not told <= {sequence for sequence, _ in places[identity]}
        ))
        self.check("stored after a 503", (
            identity for identity in places if identity in oracle.attempts and identity not in oracle.not_only_refused
        ))
        late, early = 0, []
        for identity, found in places.items():
            for (_, first), (sequence, second) in zip(found, found[1:]):
                if second - first > window:
                    late += 1
                else:
                    early.append(f"{identity} at {sequence}")
        self.check("stored twice inside the window", early)
        self.facts.update(stored=len(stored), duplicatesBeyondWindow=late)

    def judge_counter(self, name, found, acked, unseen, missing=0, exact=True):
        """A counter has to lie between what is certain and what is possible; without `exact` it may be lower."""
        lowest = max(0, acked - missing) if exact else 0
        if not lowest <= found <= acked + unseen:
            self.violations.setdefault("counters", []).append(
                f"{name}: {found}, not in {lowest}…{acked + unseen}"
            )

    def report(self, **facts):
        return json.dumps({"ok": not self.violations, "violations": self.violations, **facts, **self.facts})
