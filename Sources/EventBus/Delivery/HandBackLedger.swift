package import JetStream

/// Remembers deliveries that ended without an attempt, so that they can be subtracted from JetStream's count.
///
/// They are rare (a drain, a client that left while it waited), so every record is a key of its own in a key-value bucket,
/// read only for events that come again. All functions may be called from any thread.
package final class HandBackLedger: Sendable {
    private let bucket: KeyValueBucket

    /// - Parameter bucket: opened by whoever makes the ledger.
    package init(bucket: KeyValueBucket) {
        self.bucket = bucket
    }

    /// Records that so many deliveries of an event, in all, had no attempt, then calls `done`, also if that failed: the
    /// event is given back in any case, and a delivery too many is then counted.
    func record(_ consumer: ConsumerName, _ sequence: UInt64, total: Int, done: @escaping @Sendable () -> Void) {
        let key = Self.key(consumer, sequence)
        Task {
            _ = await bucket.put(key, Array("\(total)".utf8), expecting: nil)
            done()
        }
    }

    /// Reads how many deliveries of an event had no attempt; 0 if that cannot be known now.
    func lookUp(_ consumer: ConsumerName, _ sequence: UInt64, done: @escaping @Sendable (Int) -> Void) {
        let key = Self.key(consumer, sequence)
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
    func forget(_ consumer: ConsumerName, _ sequence: UInt64) {
        let key = Self.key(consumer, sequence)
        Task { _ = await bucket.delete(key, expecting: nil) }
    }

    private static func key(_ consumer: ConsumerName, _ sequence: UInt64) -> KeyValueBucket.Key {
        KeyValueBucket.Key(tokens: [consumer.text, "\(sequence)"])
    }
}
