"""Reads Swift Testing's event stream and says how a test run went, in a last line `N passed, N failed`.

A run counts as failed when a test failed, when one was skipped, when none ran, when the process ended before the run
did, or when `swift test` itself failed for a reason that no test names.
"""

import argparse
import json
import sys

# Characters of an issue, and issues of a test, that the summary repeats: the end of a long log may be all that is kept.
ISSUE_TEXT_MAX = 1000
ISSUES_MAX = 5


class Run:
    """What the event stream tells: which tests there are, which ended, and which have issues."""

    def __init__(self):
        self.functions = {}
        self.started, self.ended, self.skipped, self.failed = set(), set(), set(), set()
        self.cases = 0
        self.issues = {}
        self.unfinished = []
        self.stray_issues = 0

    def read(self, path):
        """Takes the stream of one process; several make up a run."""
        self.finished = False
        self._read(path)
        if not self.finished:
            self.unfinished.append(path)

    def _read(self, path):
        try:
            with open(path, encoding="utf-8") as lines:
                for line in lines:
                    try:
                        self.take(json.loads(line))
                    except ValueError:
                        break  # The last line of a process that was killed while it wrote.
        except FileNotFoundError:
            pass

    def take(self, record):
        payload = record["payload"]
        if record["kind"] == "test":
            if payload["kind"] == "function":
                self.functions[payload["id"]] = payload.get("displayName") or payload["name"]
            return
        kind, test = payload["kind"], payload.get("testID")
        if kind == "testStarted":
            self.started.add(test)
        elif kind == "testCaseEnded":
            self.cases += 1
        elif kind == "testEnded":
            self.ended.add(test)
            if any(message["symbol"] == "fail" for message in payload.get("messages", [])):
                self.failed.add(test)
        elif kind == "testSkipped":
            self.skipped.add(test)
        elif kind == "issueRecorded" and is_failure(payload.get("issue", {})):
            self.failed.add(test)
            self.issues.setdefault(test, []).append(issue_text(payload))
            self.stray_issues += test not in self.functions
        elif kind == "runEnded":
            self.finished = True


def is_failure(issue):
    severity = issue.get("severity", issue.get("_severity", "error"))
    return not issue.get("isKnown", False) and severity != "warning"


def issue_text(payload):
    """What went wrong and where, in a line that fits a summary."""
    place = (payload.get("issue") or {}).get("sourceLocation") or {}
    texts = [message.get("text", "") for message in payload.get("messages", [])]
    where = f"{place.get('fileID', '')}:{place['line']}: " if "line" in place else ""
    return (where + " | ".join(texts).replace("\n", " "))[:ISSUE_TEXT_MAX]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("events", nargs="+", help="the files of --event-stream-output-path, one for each process")
    parser.add_argument("--exit-status", type=int, default=0, help="what swift test ended with")
    parser.add_argument("--failed-phases", type=int, default=0, help="checks before the tests that failed")
    arguments = parser.parse_args()

    run = Run()
    for path in arguments.events:
        run.read(path)
    tests = run.functions
    unended = [test for test in run.started - run.ended if test in tests]
    failed = {test for test in run.failed if test in tests} | set(unended)
    passed = {test for test in run.ended if test in tests} - failed
    # A skipped suite reports itself and its tests; tests are what is counted.
    skipped = {test for test in run.skipped if test in tests}
    others = arguments.failed_phases

    for test in sorted(failed, key=tests.get):
        print(f"failed: {tests[test]}  [{test}]" + ("  (never ended)" if test in unended else ""))
        for text in run.issues.get(test, [])[:ISSUES_MAX]:
            print(f"    {text}")
    for test in sorted(skipped, key=tests.get):
        print(f"skipped, which counts as failed: {tests[test]}  [{test}]")
    for path in run.unfinished:
        others += 1
        print(f"failed: a test process ended before its run did (a crash, or it was stopped): {path}")
    if not run.ended and not failed:
        others += 1
        print("failed: no test ran")
    bad = len(failed) + len(skipped) + others + (run.stray_issues if not failed else 0)
    if arguments.exit_status != 0 and bad == 0:
        bad = 1
        print(f"failed: swift test ended with status {arguments.exit_status}")

    print(f"{len(passed)} tests in {run.cases} cases passed, {len(failed)} failed, {len(skipped)} skipped")
    print(f"{len(passed)} passed, {bad} failed")
    return 0 if bad == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
