import NIOPosix

/// Publishes lines of events in batches, several at a time; a bad line harms itself only.
struct LinePublisher {
    let lines: LineSource
    let sender: PublishSender
    let connections: Int
    let timeoutSeconds: Int
    let report: PublishReport

    /// Runs until the input ends.
    ///
    /// - Throws: ``CommandFailure`` when the input cannot be read further; what was read before is published.
    func run() async throws {
        let reader = NIOThreadPool(numberOfThreads: 1)
        reader.start()
        let failures = await withTaskGroup(of: FileError?.self) { group in
            for _ in 0..<connections {
                group.addTask { await work(reader) }
            }
            return await group.reduce(into: [FileError]()) { failures, failure in
                if let failure { failures.append(failure) }
            }
        }
        try await reader.shutdownGracefully()
        if let failure = failures.first {
            throw CommandFailure("the input cannot be read: \(failure.reason)", code: ExitStatus.noInput)
        }
    }

    private func work(_ reader: NIOThreadPool) async -> FileError? {
        var sender = sender
        defer { sender.close() }
        while true {
            do {
                let batch = try await reader.runIfActive { try lines.next() }
                if batch.isEmpty { return nil }
                await publish(batch, with: &sender)
            } catch {
                return error as? FileError ?? FileError("\(error)")
            }
        }
    }

    private func publish(_ batch: [EventLine], with sender: inout PublishSender) async {
        var open = batch.filter(isObject)
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        var backoff = RetryBackoff()
        while !open.isEmpty {
            let outcome = await sender.send(.batch(Self.array(open), skippingInvalid: true))
            let again = settle(open, outcome)
            guard !again.isEmpty else { return }
            let wait = backoff.next(retryAfter: nil)
            guard ContinuousClock.now + wait < deadline, (try? await Task.sleep(for: wait)) != nil else {
                report.addUnavailable(
                    again.count,
                    reason: "\(Self.name(again)): the event bus did not store them in time"
                )
                return
            }
            open = again
        }
    }

    /// One line that is not JSON would spoil the whole request, so it is sorted out here.
    private func isObject(_ line: EventLine) -> Bool {
        do throws(JSONTextError) {
            if case .object = try JSONText(parsing: line.text) { return true }
            report.addRefused(1, reason: ["line \(line.number): an event is a JSON object"])
        } catch {
            report.addRefused(1, reason: ["line \(line.number): not JSON: \(error.reason) (column \(error.column))"])
        }
        return false
    }

    /// Reports what is decided and returns the lines that may succeed if sent again.
    private func settle(_ batch: [EventLine], _ outcome: PublishOutcome) -> [EventLine] {
        guard case .answer(let answer) = outcome else {
            if case .unreachable(let reason) = outcome {
                report.addUnavailable(batch.count, reason: "\(Self.name(batch)): \(reason)")
            }
            return []
        }
        report.show(answer)
        let body = try? JSONText(parsing: answer.body)
        switch answer.status {
        case 207:
            return settle(batch, results: body?["results"]?.elements ?? [])
        case 200..<300:
            report.addStored(count: batch.count, duplicates: body?["duplicates"]?.integer ?? 0)
        case 400..<500 where answer.status != 429:
            var lines = ProblemText.lines(answer, body: body)
            lines[0] = "\(Self.name(batch)): \(lines[0])"
            report.addRefused(batch.count, reason: lines.map { Self.withLineNumber($0, batch) })
        default:
            let lines = ProblemText.lines(answer, body: body)
            report.addUnavailable(batch.count, reason: "\(Self.name(batch)): \(lines.joined(separator: "\n"))")
        }
        return []
    }

    private func settle(_ batch: [EventLine], results: [JSONText]) -> [EventLine] {
        var again: [EventLine] = []
        var stored = 0
        var duplicates = 0
        for (position, line) in batch.enumerated() {
            let result = results.first { $0["index"]?.integer == position }
            let status = result?["status"]?.integer ?? 504
            if (200..<300).contains(status) {
                stored += 1
                if result?["duplicate"]?.bool == true { duplicates += 1 }
            } else if RetryBackoff.isRepeatable(status: status) {
                again.append(line)
            } else {
                report.addRefused(
                    1,
                    reason: ProblemText.lines(
                        status: status,
                        reason: "refused",
                        body: result?["error"],
                        prefix: "line \(line.number): "
                    )
                )
            }
        }
        report.addStored(count: stored, duplicates: duplicates)
        return again
    }

    /// A violation's pointer starts with the entry's index in the batch: a line number helps more.
    private static func withLineNumber(_ text: String, _ batch: [EventLine]) -> String {
        guard text.hasPrefix("  /") else { return text }
        let rest = text.dropFirst(3)
        guard let index = Int(rest.prefix { $0.isASCII && $0.isNumber }), batch.indices.contains(index) else {
            return text
        }
        return "  line \(batch[index].number)" + rest.drop { $0.isASCII && $0.isNumber }
    }

    private static func name(_ batch: [EventLine]) -> String {
        guard let first = batch.first, let last = batch.last else { return "no lines" }
        return first.number == last.number ? "line \(first.number)" : "lines \(first.number) to \(last.number)"
    }

    private static func array(_ lines: [EventLine]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(lines.reduce(2) { $0 + $1.text.count + 1 })
        text.append(UInt8(ascii: "["))
        for (index, line) in lines.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            text.append(contentsOf: line.text)
        }
        text.append(UInt8(ascii: "]"))
        return text
    }
}
