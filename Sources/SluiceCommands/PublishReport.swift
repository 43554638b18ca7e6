import Synchronization

/// Counts what became of events and shows it: answers on standard output, refusals and progress on standard error.
///
/// Safe to use from several tasks at once.
final class PublishReport: Sendable {
    /// Most refusals that are shown in words.
    static let refusalsShown = 20

    private struct Counts {
        var stored = 0
        var duplicates = 0
        var refused = 0
        var unavailable = 0
        var refusalsTold = 0
        var progressShown = ContinuousClock.now
    }

    private let json: Bool
    private let start = ContinuousClock.now
    private let counts = Mutex(Counts())

    init(json: Bool) {
        self.json = json
    }

    /// Reports the outcome of a request with one event or an indivisible batch.
    func add(_ outcome: PublishOutcome) {
        switch outcome {
        case .unreachable(let reason): addUnavailable(1, reason: reason)
        case .answer(let answer):
            show(answer)
            let body = try? JSONText(parsing: answer.body)
            switch answer.status {
            case 200..<300: addStored(body, isSingle: body?["accepted"] == nil)
            case let status where RetryBackoff.isRepeatable(status: status) || status >= 500:
                addUnavailable(1, reason: ProblemText.lines(answer, body: body).joined(separator: "\n"))
            default: addRefused(1, reason: ProblemText.lines(answer, body: body))
            }
        }
    }

    /// Prints an answer's body, when JSON was asked for.
    func show(_ answer: HTTPAnswer) {
        guard json, !answer.body.isEmpty else { return }
        Console.out(String(decoding: answer.body, as: UTF8.self))
    }

    func addStored(count: Int, duplicates: Int) {
        counts.withLock { counts in
            counts.stored += count
            counts.duplicates += duplicates
        }
        progress()
    }

    func addRefused(_ count: Int, reason: [String]) {
        let isShown = counts.withLock { counts in
            counts.refused += count
            counts.refusalsTold += 1
            return counts.refusalsTold <= Self.refusalsShown
        }
        if isShown { for line in reason { Console.note(line) } }
    }

    func addUnavailable(_ count: Int, reason: String) {
        counts.withLock { $0.unavailable += count }
        for line in reason.split(separator: "\n") { Console.note("sluice: \(line)") }
    }

    /// Sums up.
    ///
    /// - Throws: the exit code, when not everything was stored.
    func finish() throws {
        let counts = counts.withLock { $0 }
        if Console.isInteractive, counts.stored > 1 { Console.progress("\r\u{1B}[K") }
        let total = counts.stored + counts.refused + counts.unavailable
        if total > 1, !json {
            let seconds = Decimals.text((ContinuousClock.now - start).inSeconds, digits: 1)
            Console.note(
                "\(Decimals.grouped(counts.stored)) stored (\(Decimals.grouped(counts.duplicates)) of them before), "
                    + "\(Decimals.grouped(counts.refused)) refused, "
                    + "\(Decimals.grouped(counts.unavailable)) not stored for want of a server, in \(seconds) s"
            )
        }
        if counts.refused > 0 { throw ExitStatus.refused }
        if counts.unavailable > 0 { throw ExitStatus.unavailable }
    }

    private func addStored(_ body: JSONText?, isSingle: Bool) {
        guard isSingle else {
            addStored(count: body?["accepted"]?.integer ?? 0, duplicates: body?["duplicates"]?.integer ?? 0)
            return
        }
        let isDuplicate = body?["duplicate"]?.bool ?? false
        addStored(count: 1, duplicates: isDuplicate ? 1 : 0)
        guard !json else { return }
        let stream = SafeText.escaped(body?["stream"]?.string ?? "?")
        let sequence = body?["sequence"]?.integer.map(String.init) ?? "?"
        let id = SafeText.escaped(body?["id"]?.string ?? "?")
        Console.out("\(isDuplicate ? "stored before" : "stored"): \(stream) #\(sequence), id \(id)")
    }

    private func progress() {
        guard Console.isInteractive, !json else { return }
        let stored: Int? = counts.withLock { counts in
            let now = ContinuousClock.now
            guard counts.stored > 1, now - counts.progressShown > .milliseconds(200) else { return nil }
            counts.progressShown = now
            return counts.stored
        }
        if let stored { Console.progress("\r\u{1B}[K\(Decimals.grouped(stored)) stored") }
    }
}

extension Duration {
    /// The duration in seconds.
    var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

/// Problem details (RFC 9457) as sentences.
package enum ProblemText {
    /// Most violations that are shown of one answer.
    static let violationsShown = 50

    /// The problem and each of its violations, a line each.
    static func lines(_ answer: HTTPAnswer, body: JSONText?) -> [String] {
        lines(status: answer.status, reason: answer.reason, body: body)
    }

    /// - Parameters:
    ///   - prefix: What the violations' pointers are relative to is said by the caller, in front.
    package static func lines(status: Int, reason: String, body: JSONText?, prefix: String = "") -> [String] {
        let title = body?["title"]?.string ?? reason
        var first = "\(prefix)\(status): \(SafeText.escaped(title))"
        if let detail = body?["detail"]?.string { first += ": \(SafeText.escaped(detail, limit: 1024))" }
        var lines = [first]
        let violations = body?["violations"]?.elements ?? []
        for violation in violations.prefix(violationsShown) {
            let pointer = SafeText.escaped(violation["pointer"]?.string ?? "")
            let rule = violation["rule"]?.string.map { " (\(SafeText.escaped($0)))" } ?? ""
            let detail = SafeText.escaped(violation["detail"]?.string ?? "", limit: 512)
            lines.append("  \(pointer.isEmpty ? "the event" : pointer)\(rule): \(detail)")
        }
        if violations.count > violationsShown { lines.append("  and \(violations.count - violationsShown) more") }
        return lines
    }
}
