package import JetStream

/// Remembers deliveries that ended without an attempt, so that they can be subtracted from JetStream's count.
///
/// They are rare (a drain, a client that left while it waited), so every record is a key of its own in a key-value bucket,
/// read only for events that come again. Nobody watches the bucket: what is not needed is removed without a mark. All
/// functions may be called from any thread.
package struct HandBackLedger: Sendable {
    private let bucket: KeyValueBucket
    /// Dead letters have sequences of their own, and consumers of the same names as those of the events.
    private let isForDeadLetters: Bool

    /// - Parameters:
    ///   - bucket: opened by whoever makes the ledger.
    ///   - isForDeadLetters: whether it is for those on their way to a sink, and not for events.
    package init(bucket: KeyValueBucket, isForDeadLetters: Bool = false) {
        self.bucket = bucket
        self.isForDeadLetters = isForDeadLetters
    }

    /// The same for dead letters.
    var forDeadLetters: HandBackLedger { HandBackLedger(bucket: bucket, isForDeadLetters: true) }

    /// Records that so many deliveries of an event, in all, had no attempt, then calls `done`, also if that failed: the
    /// event is given back in any case, and a delivery too many is then counted.
    package func record(
        _ consumer: ConsumerName,
        _ sequence: UInt64,
        total: Int,
        done: @escaping @Sendable () -> Void
    ) {
        let key = key(consumer, sequence)
        Task {
            _ = await bucket.put(key, Array("\(total)".utf8), expecting: nil)
            done()
        }
    }

    /// Reads how many deliveries of an event had no attempt; 0 if that cannot be known now.
    package func lookUp(_ consumer: ConsumerName, _ sequence: UInt64, done: @escaping @Sendable (Int) -> Void) {
        let key = key(consumer, sequence)
        Task {
            var total = 0
            do throws(JetStreamError) {
                if let entry = try await bucket.get(key), !entry.isDeleted {
                    total = Int(String(decoding: entry.value, as: UTF8.self)) ?? 0
                }
            } catch {}  // As if nothing were recorded: an attempt too few is better than an event that waits.
            done(max(0, total))
        }
    }

    /// Forgets an event that is settled.
    package func forget(_ consumer: ConsumerName, _ sequence: UInt64) {
        let key = key(consumer, sequence)
        Task {
            do throws(JetStreamError) {
                try await bucket.remove(key)
            } catch {
                _ = await bucket.delete(key, expecting: nil)
            }
        }
    }

    private func key(_ consumer: ConsumerName, _ sequence: UInt64) -> KeyValueBucket.Key {
        KeyValueBucket.Key(tokens: [consumer.text] + (isForDeadLetters ? [Self.letters] : []) + ["\(sequence)"])
    }

    private static let letters = "letters"
}

extension HandBackLedger {
    /// Most records that one sweep removes.
    private static let sweepMax = 1000

    /// Removes records that nobody will read any more: of events and dead letters older than what the streams still have,
    /// and of subscriptions that are gone.
    ///
    /// - Parameters:
    ///   - events: the oldest sequence of the event stream.
    ///   - letters: the oldest sequence of the stream of dead letters.
    ///   - isGone: whether a subscription is certainly no more.
    /// - Returns: how many were removed.
    @discardableResult
    package func sweep(
        events: UInt64,
        letters: UInt64,
        isGone: (SubscriptionKey) async -> Bool
    ) async throws(JetStreamError) -> Int {
        var removed = 0
        var answers: [String: Bool] = [:]
        for key in try await bucket.keys() {
            let tokens = key.tokens
            let isLetter = tokens.count == 3 && tokens[1] == Self.letters
            guard isLetter || tokens.count == 2, let sequence = UInt64(tokens[tokens.count - 1]) else { continue }
            var isStale = sequence < (isLetter ? letters : events)
            if !isStale, let subscription = SubscriptionKey(durableName: tokens[0]) {
                if let known = answers[tokens[0]] {
                    isStale = known
                } else {
                    isStale = await isGone(subscription)
                    answers[tokens[0]] = isStale
                }
            }
            guard isStale else { continue }
            try await bucket.remove(key)
            removed += 1
            if removed == Self.sweepMax { break }
        }
        return removed
    }
}
