import DeliveryRules
import JetStream

/// Makes and reads lock tokens: signed with a secret that all replicas share, each naming the replica that holds the lock
/// (R-19, S-30).
package final class LockTokens: Sendable {
    /// Names this replica.
    let replica: String
    private let secret = Locked<[UInt8]?>(nil)

    init(replica: String) {
        self.replica = replica
    }

    /// Whether the secret is there; before, nothing can be handed out.
    var isReady: Bool { secret.withLock { $0 != nil } }

    /// Reads the replicas' secret from a bucket, or makes it if there is none yet.
    func load(from bucket: KeyValueBucket) async throws(JetStreamError) {
        let key = KeyValueBucket.Key(tokens: ["_secrets", "locks"])
        var generator = SystemRandomNumberGenerator()
        let fresh = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        if try await bucket.get(key) == nil { _ = await bucket.put(key, fresh, expecting: 0) }
        // Whoever was first has decided.
        guard let entry = try await bucket.get(key), entry.value.count == fresh.count else {
            throw .badResponse("the secret of the lock tokens is not there")
        }
        secret.withLock { $0 = entry.value }
    }

    /// A token; empty as long as ``isReady`` is false.
    ///
    /// It outlives the lock, which may be renewed under the same token.
    func make(_ key: SubscriptionKey, _ lock: LockMachine.Lock) -> String {
        guard let secret = secret.withLock({ $0 }) else { return "" }
        let expiry = Int64(WallClock.milliseconds / 1000) + Self.lifetimeSeconds
        let token = LockToken(replica: replica, durable: key.durableName, lock: lock, expiry: expiry)
        return token?.encode { KeyedDigest.sha256(key: secret, $0) } ?? ""
    }

    /// What a subscription's token says; nil if it is none of ours, of another subscription, or too old.
    func read(_ text: String, of key: SubscriptionKey) -> LockToken? {
        guard let secret = secret.withLock({ $0 }),
            let token = LockToken(decoding: text, { KeyedDigest.sha256(key: secret, $0) }),
            token.durable.utf8.elementsEqual(key.durableName.utf8),
            token.expiry >= Int64(WallClock.milliseconds / 1000)
        else { return nil }
        return token
    }

    /// Two days: no lock is renewed for longer.
    private static let lifetimeSeconds: Int64 = 2 * 86_400
}
