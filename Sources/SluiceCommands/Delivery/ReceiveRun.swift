import ArgumentParser
import Glibc
import NIOHTTP1
import Synchronization

/// Where a run of `sluice receive` stands, for whoever wants to end it.
final class ReceiveProgress: Sendable {
    private struct State {
        var isPolling = false
        var isStopping = false
    }

    private let state = Mutex(State())

    /// A poll begins.
    ///
    /// - Returns: Whether it may: nobody wants to end the run.
    func beginPoll() -> Bool {
        state.withLock { state in
            state.isPolling = !state.isStopping
            return state.isPolling
        }
    }

    /// The poll is over, and its events are being dealt with.
    func endPoll() {
        state.withLock { $0.isPolling = false }
    }

    /// Ends the run before its next poll.
    ///
    /// - Returns: Whether there is something to wait for: events that are printed and settled right now.
    func requestStop() -> Bool {
        state.withLock { state in
            state.isStopping = true
            return !state.isPolling
        }
    }
}

/// Receives, prints and settles until there is nothing more to do.
struct ReceiveRun: Sendable {
    /// What is to be done.
    struct Plan: Sendable {
        let id: String
        /// Most events.
        let max: Int
        /// Seconds of a poll while nothing has come.
        let wait: Int
        /// Whether an empty answer ends nothing.
        let isFollowing: Bool
        let batchSize: Int
        let settlement: ReceiveSettlement
        /// Whether events are printed with their broker properties.
        let hasEnvelope: Bool
    }

    /// How it ended.
    struct Outcome: Sendable {
        /// Whether everything that was printed was settled too.
        var isClean = true
        var received = 0
    }

    let plan: Plan
    let progress: ReceiveProgress

    /// - Throws: ``CommandFailure``; what was printed before is settled.
    func run(_ client: GatewayClient) async throws -> Outcome {
        var client = client
        var outcome = Outcome()
        var batchSize = plan.batchSize
        defer { client.close() }
        while outcome.received < plan.max, progress.beginPoll() {
            let count = min(batchSize, plan.max - outcome.received)
            // Once something has come, what is there follows at once.
            let wait = outcome.received > 0 && !plan.isFollowing ? min(1, plan.wait) : plan.wait
            let result = await receive(count, wait: wait, &client)
            progress.endPoll()
            switch result {
            case .success(let items):
                if items.isEmpty, !plan.isFollowing { break }
                outcome.received += items.count
                if try await !handle(items, &client) { outcome.isClean = false }
                continue
            case .failure(let failure):
                if failure.message.contains("the answer is larger"), batchSize > 1 {
                    batchSize = Swift.max(1, batchSize / 8)
                    Console.note("sluice: the events are large; asking for \(batchSize) at a time")
                    continue
                }
                guard plan.isFollowing, failure.code == ExitStatus.unavailable else { throw failure }
                Console.note("sluice: \(failure.message.split(separator: "\n").first ?? ""); still trying")
                continue
            }
            break
        }
        if outcome.received == 0, Console.isInteractive, !plan.isFollowing {
            Console.note("no events within \(plan.wait) s")
        }
        return outcome
    }

    private func receive(
        _ count: Int,
        wait: Int,
        _ client: inout GatewayClient
    ) async -> Result<[JSONSlice], CommandFailure> {
        let path = DeliverPath.subscription(plan.id, ":receive?maxEvents=\(count)&maxWaitTime=\(wait)")
        do throws(CommandFailure) {
            let answer = try await client.object(.POST, path)
            guard let items = answer["value"]?.elements else {
                throw CommandFailure("\(client.name): the answer holds no events", code: ExitCode(70))
            }
            return .success(items)
        } catch {
            return .failure(error)
        }
    }

    /// Prints events and settles them.
    ///
    /// - Returns: Whether all were settled.
    /// - Throws: ``CommandFailure`` when they cannot be written; those that were not are given back.
    private func handle(_ items: [JSONSlice], _ client: inout GatewayClient) async throws(CommandFailure) -> Bool {
        guard !items.isEmpty else { return true }
        var tokens: [ReceiveToken] = []
        var printed = 0
        for item in items {
            guard let token = item["brokerProperties"]?["lockToken"]?.string, let event = item["event"] else {
                throw CommandFailure(
                    "\(client.name): the answer holds no event where one should be",
                    code: ExitCode(70)
                )
            }
            tokens.append(ReceiveToken(text: token))
            if printed == tokens.count - 1, Self.write(plan.hasEnvelope ? item.line : event.line) { printed += 1 }
        }
        let failures = try await plan.settlement.settle(Array(tokens.prefix(printed)), of: plan.id, &client)
        failures.forEach(Console.note)
        if printed < tokens.count {
            _ = try await ReceiveSettlement.release(0).settle(Array(tokens[printed...]), of: plan.id, &client)
            throw CommandFailure(
                "the output cannot be written: \(FileError.system(EPIPE).reason)",
                code: ExitStatus.noOutput
            )
        }
        return failures.isEmpty
    }

    /// Writes a line to standard output; waits for a slow reader.
    private static func write(_ line: [UInt8]) -> Bool {
        LineOutput.writeAll(line + [UInt8(ascii: "\n")], to: STDOUT_FILENO) == line.count + 1
    }
}
