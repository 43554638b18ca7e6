import CloudEvents
import EventBus
import JetStream
import NIOHTTP1

/// A batch under way: collects an outcome for each entry and then writes the one answer.
///
/// Confined to the event loop of its connection.
final class BatchJob {
    /// One entry, as far as it is known.
    enum Entry {
        case waiting(Intake.Single)
        case stored(Intake.Single, Receipt)
        case failed(Intake.Single?, Problem)
    }

    /// Most violations that one answer lists: the answer must not dwarf the request.
    private static let violationsMax = 256

    private static let violationsOfEntryMax = 16

    private(set) var entries: [Entry]
    /// Entries whose outcome has not come.
    private(set) var waiting: Int
    let request: PublishRequest

    /// Takes a batch whose entries are ready or known to be faulty.
    init(_ plan: [Result<Intake.Single, Intake.BatchFault>], request: PublishRequest) {
        self.request = request
        self.waiting = 0
        self.entries = plan.map { entry in
            switch entry {
            case .success(let single): .waiting(single)
            case .failure(let fault): .failed(nil, fault.problem)
            }
        }
        for case .waiting in entries { waiting += 1 }
    }

    /// The messages to publish, with their index.
    func forEachWaiting(_ body: (Int, OutboundMessage) -> Void) {
        for (index, entry) in entries.enumerated() {
            if case .waiting(let single) = entry { body(index, single.message) }
        }
    }

    /// Notes the outcome of an entry; returns whether it was the last one.
    func note(_ result: Result<Receipt, PublishError>, at index: Int) -> Bool {
        guard case .waiting(let single) = entries[index] else { return false }
        switch result {
        case .success(let receipt): entries[index] = .stored(single, receipt)
        case .failure(let error): entries[index] = .failed(single, Problem(error))
        }
        waiting -= 1
        return waiting == 0
    }

    /// Fails every entry that is not faulty already: none of them is published.
    func failAll(_ problem: Problem) {
        for index in entries.indices {
            if case .waiting(let single) = entries[index] { entries[index] = .failed(single, problem) }
        }
        waiting = 0
    }

    /// Why the batch as a whole is refused before anything is published: `nil` if it is not.
    ///
    /// Without `on-invalid=skip` one bad entry refuses the batch; with it only a batch without a good one is refused.
    func refusal() -> Problem? {
        let problems = entries.compactMap { entry -> Problem? in
            if case .failed(_, let problem) = entry { problem } else { nil }
        }
        guard !problems.isEmpty, !request.skipsInvalid || problems.count == entries.count else { return nil }
        let tooLarge = problems.allSatisfy { $0.kind == .tooLarge }
        var violations = problems.flatMap(\.violations)
        for (index, entry) in entries.enumerated() {
            if case .failed(_, let problem) = entry, problem.violations.isEmpty {
                violations.append(.init(pointer: "/\(index)", rule: "MAX_EVENT_BYTES", detail: problem.detail))
            }
        }
        let verb = request.skipsInvalid ? "none of them can be published" : "nothing was published"
        let all = violations.count + problems.reduce(0) { $0 + $1.violationsOmitted }
        if violations.count > Self.violationsMax { violations.removeSubrange(Self.violationsMax...) }
        let listed = all > violations.count ? "; the first \(violations.count) of \(all) violations are listed" : ""
        return Problem(
            kind: tooLarge ? .tooLarge : .invalidEvent,
            detail: "\(problems.count) of \(entries.count) events in the batch are refused; \(verb)\(listed)",
            violations: violations,
            limit: tooLarge ? problems.compactMap(\.limit).first : nil
        )
    }

    /// The answer, once nothing is waiting.
    func answer() -> HTTPAnswer {
        var accepted: UInt64 = 0
        var duplicates: UInt64 = 0
        var faults: [Problem.Kind] = []
        for entry in entries {
            switch entry {
            case .stored(_, let receipt):
                accepted += 1
                if receipt.isDuplicate { duplicates += 1 }
            case .failed(_, let problem): faults.append(problem.kind)
            case .waiting: break
            }
        }
        if faults.isEmpty {
            if request.route == .eventGrid { return EventGridError.stored }
            if request.wantsMinimal { return PublishAnswer.minimal(.accepted) }
            return HTTPAnswer(status: .accepted, body: summary(accepted, duplicates))
        }
        if request.skipsInvalid && accepted > 0 {
            if request.wantsMinimal { return PublishAnswer.minimal(.multiStatus) }
            return HTTPAnswer(status: .multiStatus, body: summary(accepted, duplicates))
        }
        let kind = Self.gravest(faults)
        let problem = Problem(
            kind: kind,
            detail: "\(faults.count) of \(entries.count) events failed, results tells which; "
                + "sending the whole batch again with the same ids is safe"
        )
        if request.route == .eventGrid {
            return EventGridError.answer(problem, requestID: request.requestID ?? RequestID.make())
        }
        return problem.answer(requestID: request.requestID, extra: results(opening: ",\"results\":["))
    }

    /// The kind that speaks for the batch: what is uncertain before what is certain.
    private static func gravest(_ faults: [Problem.Kind]) -> Problem.Kind {
        for kind in [.outcomeUnknown, .storeFull, .misconfigured, .brokerUnavailable, .overloaded] as [Problem.Kind]
        where faults.contains(kind) { return kind }
        return faults.first ?? .internalError
    }

    private func summary(_ accepted: UInt64, _ duplicates: UInt64) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(64 + entries.count * 128)
        body.appendJSON(raw: "{\"accepted\":")
        body.appendJSON(integer: accepted)
        body.appendJSON(raw: ",\"duplicates\":")
        body.appendJSON(integer: duplicates)
        body.append(contentsOf: results(opening: ",\"results\":["))
        body.append(UInt8(ascii: "}"))
        return body
    }

    /// `results[]` in request order.
    private func results(opening: StaticString) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(entries.count * 128)
        body.appendJSON(raw: opening)
        for (index, entry) in entries.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.appendJSON(raw: "{\"index\":")
            body.appendJSON(integer: UInt64(index))
            write(entry, into: &body)
            body.append(UInt8(ascii: "}"))
        }
        body.append(UInt8(ascii: "]"))
        return body
    }

    private func write(_ entry: Entry, into body: inout [UInt8]) {
        switch entry {
        case .waiting: break
        case .stored(let single, let receipt):
            write(single, status: 202, into: &body)
            body.appendJSON(raw: ",\"sequence\":")
            body.appendJSON(integer: receipt.sequence)
            body.appendJSON(raw: receipt.isDuplicate ? ",\"duplicate\":true" : ",\"duplicate\":false")
        case .failed(let single, let problem):
            write(single, status: problem.kind.status.code, into: &body)
            body.appendJSON(raw: ",\"error\":")
            var problem = problem
            problem.violations = Array(problem.violations.prefix(Self.violationsOfEntryMax))
            problem.write(into: &body, requestID: nil)
            body.append(UInt8(ascii: "}"))
        }
    }

    private func write(_ single: Intake.Single?, status: UInt, into body: inout [UInt8]) {
        if let single {
            body.appendJSON(raw: ",\"id\":")
            body.appendJSON(string: single.id)
            body.appendJSON(raw: ",\"source\":")
            body.appendJSON(string: single.source)
        }
        body.appendJSON(raw: ",\"status\":")
        body.appendJSON(integer: UInt64(status))
    }
}
