import DeliveryRules
import JetStream

extension DeliveryEngine {
    /// Hands a client up to `max` events of a PULL subscription as soon as there is one, or none when `wait` is over.
    ///
    /// When the task is cancelled, events on their way are given back and nothing stays locked.
    ///
    /// - Throws: ``SubscriptionError``.
    package func receive(
        _ key: SubscriptionKey,
        max: Int,
        wait: Duration
    ) async throws(SubscriptionError) -> [ReceivedEvent] {
        let place = try pullPlace(of: key)
        guard tokens.isReady, client.state.isConnected else { throw .unavailable("not connected to NATS") }
        let call = ReceiveCall()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                place.shard.loop.execute {
                    guard let worker = place.shard.worker(place.index) as? PullWorker, !call.isCancelled else {
                        return continuation.resume(returning: [])
                    }
                    call.waiter = worker.receive(max: max, wait: wait) { continuation.resume(returning: $0) }
                }
            }
        } onCancel: {
            place.shard.loop.execute {
                call.isCancelled = true
                guard let waiter = call.waiter else { return }
                (place.shard.worker(place.index) as? PullWorker)?.leave(waiter)
            }
        }
    }

    /// Does what a client wants done with its locks; the outcomes are in the order of the tokens.
    ///
    /// - Throws: ``SubscriptionError``.
    package func settle(
        _ key: SubscriptionKey,
        _ verb: SettleVerb,
        tokens texts: [String]
    ) async throws(SubscriptionError) -> [TokenOutcome] {
        _ = try pullPlace(of: key)
        var outcomes = [TokenOutcome](repeating: .failed(.badToken), count: texts.count)
        var remote: [String: [(index: Int, lock: LockMachine.Lock)]] = [:]
        var local: [(index: Int, lock: LockMachine.Lock)] = []
        for (index, token) in tokens.read(texts, of: key).enumerated() {
            guard let token else { continue }
            if token.holder.replica.utf8.elementsEqual(tokens.replica.utf8) {
                local.append((index, token.lock))
            } else {
                remote[token.holder.replica, default: []].append((index, token.lock))
            }
        }
        for (position, outcome) in await settleHere(key, verb, local.map(\.lock)).enumerated() {
            outcomes[local[position].index] = outcome
        }
        for (replica, wanted) in remote {
            let answers = await settleThere(replica, key, verb, wanted.map(\.lock))
            for (position, outcome) in answers.enumerated() { outcomes[wanted[position].index] = outcome }
        }
        return Self.joined(outcomes, texts)
    }

    /// A token that is given more than once has one outcome: the second call met the first under way, and knows nothing.
    private static func joined(_ outcomes: [TokenOutcome], _ texts: [String]) -> [TokenOutcome] {
        guard texts.count > 1, outcomes.contains(.failed(.unknown)) else { return outcomes }
        var known: [String: TokenOutcome] = [:]
        for (text, outcome) in zip(texts, outcomes) where outcome != .failed(.unknown) { known[text] = outcome }
        return zip(texts, outcomes).map { $1 == .failed(.unknown) ? known[$0] ?? $1 : $1 }
    }

    private func pullPlace(of key: SubscriptionKey) throws(SubscriptionError) -> Place {
        guard let record = registry.record(key) else {
            throw registry.isCurrent ? .notFound : .unavailable("subscriptions are still being read")
        }
        guard record.subscription.deliveryProtocol == .pull else {
            throw .wrongProtocol(record.subscription.deliveryProtocol)
        }
        guard let place = place(of: key) else { throw .unavailable("the subscription is not taken up yet") }
        return place
    }

    /// Settles locks of this replica.
    func settleHere(_ key: SubscriptionKey, _ verb: SettleVerb, _ locks: [LockMachine.Lock]) async -> [TokenOutcome] {
        if locks.isEmpty { return [] }
        guard let place = place(of: key) else { return locks.map { _ in .failed(.lost) } }
        return await withCheckedContinuation { continuation in
            let gathering = Gathering(count: locks.count) { continuation.resume(returning: $0) }
            place.shard.loop.execute {
                guard let worker = place.shard.worker(place.index) as? PullWorker else {
                    for index in locks.indices { gathering.take(index, .failed(.lost)) }
                    return
                }
                for (index, lock) in locks.enumerated() {
                    worker.settle(lock, verb) { gathering.take(index, TokenOutcome($0)) }
                }
            }
        }
    }

    /// Settles locks of another replica: it alone knows whether they are still good.
    private func settleThere(
        _ replica: String,
        _ key: SubscriptionKey,
        _ verb: SettleVerb,
        _ locks: [LockMachine.Lock]
    ) async -> [TokenOutcome] {
        let question = SettleQuestion(key: key, verb: verb, locks: locks)
        do throws(JetStreamError) {
            let answer = try await client.ask(SettleQuestion.subject(replica), question.bytes)
            return SettleAnswer.read(answer, count: locks.count) ?? locks.map { _ in .failed(.unknown) }
        } catch {
            // No such replica: its locks went with it, and the events come again.
            if error == .noResponders { return locks.map { _ in .failed(.lost) } }
            return locks.map { _ in .failed(.unknown) }
        }
    }

    /// Answers other replicas that pass settlements on, as long as the handle lives.
    func serveReplicas() -> ServiceHandle {
        client.serve(SettleQuestion.subject(tokens.replica)) { [weak self] bytes, answer in
            guard let self, let question = SettleQuestion(bytes) else { return answer([]) }
            Task {
                answer(SettleAnswer.bytes(await self.settleHere(question.key, question.verb, question.locks)))
            }
        }
    }

    /// What this replica knows of all its subscriptions, by subscription; of those that are gone too.
    package func reports() async -> [SubscriptionKey: DeliveryReport] {
        var all = ended.withLock { $0 }
        for shard in shards {
            for report in await shard.run({ $0.all.filter { !$0.isAside }.map(\.report) }) {
                all[report.key, default: DeliveryReport(key: report.key)].add(report)
            }
        }
        return all
    }

    /// What this replica knows of one subscription, nil if it never delivered to it.
    package func report(_ key: SubscriptionKey) async -> DeliveryReport? { await reports()[key] }
}

/// One call of `receive`; belongs to the shard's loop.
private final class ReceiveCall: @unchecked Sendable {
    // Safe: both members are touched by tasks of the shard's loop only.
    var waiter: UInt64?
    var isCancelled = false
}

/// Collects outcomes that come one by one.
private final class Gathering: @unchecked Sendable {
    // Safe: `take` is called on the shard's loop only.
    private var outcomes: [TokenOutcome]
    private var missing: Int
    private let finish: @Sendable ([TokenOutcome]) -> Void

    init(count: Int, finish: @escaping @Sendable ([TokenOutcome]) -> Void) {
        outcomes = Array(repeating: .failed(.unknown), count: count)
        missing = count
        self.finish = finish
    }

    func take(_ index: Int, _ outcome: TokenOutcome) {
        outcomes[index] = outcome
        missing -= 1
        if missing == 0 { finish(outcomes) }
    }
}

/// What became of a lock that a client wanted settled.
package enum TokenOutcome: Sendable, Equatable {
    /// Done, and confirmed by JetStream; with the seconds for which a renewed lock is good.
    case succeeded(lockedForSeconds: Int64?)
    case failed(Fault)

    /// Why it was not done.
    package enum Fault: Sendable, Equatable {
        /// Not a token of this subscription.
        case badToken
        /// The lock is gone: expired, settled, or its replica has ended. The event comes again if it is not settled.
        case lost
        /// It is not known whether it was done: the same call again is safe.
        case unknown
    }

    init(_ outcome: LockMachine.LockOutcome) {
        switch outcome {
        case .succeeded(let until):
            self = .succeeded(lockedForSeconds: until.map { max(0, ($0 - monotonicNow()) / 1_000_000_000) })
        case .lost: self = .failed(.lost)
        case .failed: self = .failed(.unknown)
        }
    }
}
