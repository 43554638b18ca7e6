import EventBus
import Synchronization

/// Shows on standard error how far a verification has come: in place for a person, a line now and then for a log.
final class VerifyProgress: Sendable {
    private let start = ContinuousClock.now
    private let shown = Mutex(ContinuousClock.now)

    /// Shows the state, unless it was shown a moment ago.
    func show(_ progress: AuditVerifier.Progress) {
        let isDue = shown.withLock { shown in
            guard ContinuousClock.now - shown >= (Console.isInteractive ? .milliseconds(500) : .seconds(10)) else {
                return false
            }
            shown = .now
            return true
        }
        guard isDue else { return }
        let share = Double(progress.records) / Double(max(1, progress.recordsInAll)) * 100
        let text = "\(Decimals.text(share, digits: 0)) % of the audit, \(rate(progress.events))"
        if Console.isInteractive { Console.progress("\r\u{1B}[K\(text)") } else { Console.note(text) }
    }

    /// Sums up the speed.
    func finish(_ events: UInt64) {
        clear()
        Console.note("checked \(rate(events))")
    }

    /// Removes what stands in the terminal's line.
    func clear() {
        if Console.isInteractive { Console.progress("\r\u{1B}[K") }
    }

    private func rate(_ events: UInt64) -> String {
        let seconds = (ContinuousClock.now - start).inSeconds
        let speed = seconds > 0 ? Int(Double(events) / seconds) : 0
        return "\(Decimals.grouped(Int(clamping: events))) events in \(Decimals.text(seconds, digits: 1)) s, "
            + "\(Decimals.grouped(speed)) events/s"
    }
}

/// A verification's result for people and for programs.
struct VerifyReport {
    let report: AuditReport
    /// The event stream's name.
    let events: String

    /// Most ranges of sequences that are listed.
    private static let rangesMax = 20
    private static let rangesMaxJSON = 1000

    /// The verdict in one word: `ok`, `loss` or `incomplete`.
    var verdict: String { report.hasLoss ? "loss" : report.auditIsDamaged ? "incomplete" : "ok" }

    /// The table and the verdict.
    var lines: [String] {
        var lines: [String] = []
        func row(_ name: String, _ count: UInt64, _ remark: String = "") {
            let number = Decimals.grouped(Int(clamping: count))
            let line = name.padded(24) + String(repeating: " ", count: max(0, 15 - number.count)) + number
            lines.append(remark.isEmpty ? line : "\(line)  \(remark)")
        }
        row("acknowledged events", report.audited, "in \(report.records) records of \(report.replicas) replicas")
        row("  present, unchanged", report.present)
        row("  aged out", report.agedOut, report.agedOut > 0 ? "kept as long as MAX_AGE says" : "")
        row("  discarded", report.discarded, report.discarded > 0 ? "the full stream lets the oldest go" : "")
        row("  missing", report.missing.count, sequences(report.missing))
        row("  changed", report.changed.count, sequences(report.changed))
        if report.beforeCreation > 0 {
            lines.append(
                "\(Decimals.grouped(Int(clamping: report.beforeCreation))) of them were acknowledged before the "
                    + "stream \(events) was created as it is now: it has been deleted, or lost"
            )
        }
        if let unaudited = report.unaudited {
            row("not in the audit", unaudited, "of \(Decimals.grouped(Int(clamping: report.messages))) in \(events)")
        }
        lines += remarks
        switch verdict {
        case "loss": lines.append("LOSS: acknowledged events are missing or changed")
        case "incomplete": lines.append("INCOMPLETE: nothing is known to be missing, but part of the audit is")
        default: lines.append("OK: nothing that was acknowledged is missing or changed")
        }
        return lines
    }

    /// What limits the verdict, as sentences.
    private var remarks: [String] {
        var remarks: [String] = []
        if report.recordsMissing > 0 {
            remarks.append(
                "\(report.recordsMissing) audit records are missing by their numbers: what they name is unchecked"
            )
        }
        if report.auditSequencesMissing > 0 {
            remarks.append("\(report.auditSequencesMissing) sequences of the audit stream hold no message")
        }
        for (sequence, reason) in report.recordsUnreadable.prefix(Self.rangesMax) {
            remarks.append("message \(sequence) of the audit stream cannot be read: \(SafeText.escaped(reason))")
        }
        if report.recordsUnreadable.count > Self.rangesMax {
            remarks.append("\(report.recordsUnreadable.count) messages of the audit stream cannot be read in all")
        }
        if report.dropped > 0 {
            remarks.append("\(report.dropped) acknowledged events could not be recorded in time: they are unchecked")
        }
        for (stream, count) in report.otherStreams.sorted(by: { $0.key < $1.key }) {
            remarks.append("\(count) records are of the stream \(SafeText.escaped(stream)): see --stream-name")
        }
        return remarks
    }

    private func sequences(_ set: SequenceSet) -> String {
        guard !set.isEmpty else { return "" }
        return "sequences \(set.text(rangesMax: Self.rangesMax))"
    }

    /// One JSON object; sequences as pairs of first and last.
    var json: String {
        var object = JSONWriter()
        object.add("verdict", verdict)
        object.add("stream", events)
        let counts: [(name: String, count: UInt64)] = [
            ("audited", report.audited), ("present", report.present), ("aged_out", report.agedOut),
            ("discarded", report.discarded), ("missing", report.missing.count), ("changed", report.changed.count),
            ("before_creation", report.beforeCreation),
        ]
        for (name, count) in counts { object.add(name, json: "\(count)") }
        object.add("missing_sequences", json: report.missing.json(rangesMax: Self.rangesMaxJSON))
        object.add("changed_sequences", json: report.changed.json(rangesMax: Self.rangesMaxJSON))
        object.add("unaudited", json: report.unaudited.map { "\($0)" } ?? "null")
        object.add("messages", json: "\(report.messages)")
        object.add("first_sequence", json: "\(report.firstSequence)")
        object.add("last_sequence", json: "\(report.lastSequence)")
        object.add("audit", json: auditJSON)
        return object.text
    }

    private var auditJSON: String {
        var object = JSONWriter()
        object.add("records", json: "\(report.records)")
        object.add("replicas", report.replicas)
        object.add("replicas_without_end", report.replicasWithoutEnd)
        object.add("records_missing", json: "\(report.recordsMissing)")
        object.add("sequences_missing", json: "\(report.auditSequencesMissing)")
        let unreadable = report.recordsUnreadable.prefix(Self.rangesMaxJSON).map { "\($0.sequence)" }
        object.add("unreadable", json: "[\(unreadable.joined(separator: ","))]")
        object.add("dropped", json: "\(report.dropped)")
        var others = JSONWriter()
        for (stream, count) in report.otherStreams.sorted(by: { $0.key < $1.key }) {
            others.add(stream, json: "\(count)")
        }
        object.add("records_of_other_streams", json: others.text)
        return object.text
    }
}

extension SequenceSet {
    /// The first ranges as `5, 9-12`, and how many more there are.
    fileprivate func text(rangesMax: Int) -> String {
        let shown = ranges.prefix(rangesMax).map {
            $0.lowerBound == $0.upperBound ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)"
        }
        let rest = ranges.count - shown.count
        return shown.joined(separator: ", ") + (rest > 0 ? " and \(rest) more ranges" : "")
    }

    /// The first ranges as `[[5,5],[9,12]]`.
    fileprivate func json(rangesMax: Int) -> String {
        "[" + ranges.prefix(rangesMax).map { "[\($0.lowerBound),\($0.upperBound)]" }.joined(separator: ",") + "]"
    }
}
