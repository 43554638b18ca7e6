import DeliveryRules
import JetStream

/// Makes and reads lock tokens: signed with a secret that all replicas share, each naming the replica that holds the lock
/// (R-19, S-30).
package final class LockTokens: Sendable {
    /// Names this replica.
    let replica: String
    private let secret = Locked<KeyedDigest?>(nil)

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
        secret.withLock { $0 = KeyedDigest(key: entry.value) }
    }

    /// A token; empty as long as ``isReady`` is false.
    ///
    /// It outlives the lock, which may be renewed under the same token.
    ///
    /// - Parameters:
    ///   - holder: of ``holder(of:)``.
    ///   - now: in seconds of Unix time.
    func make(_ lock: LockMachine.Lock, _ holder: LockToken.Holder?, now: Int64) -> String {
        guard let holder, let secret = secret.withLock({ $0 }) else { return "" }
        let token = LockToken(holder: holder, lock: lock, expiry: now + Self.lifetimeSeconds)
        return token?.encode(secret.write) ?? ""
    }

    /// What tokens of a subscription's locks in this replica name.
    func holder(of key: SubscriptionKey) -> LockToken.Holder? {
        LockToken.Holder(replica: replica, durable: key.durableName)
    }

    /// What tokens of a subscription say; nil for each that is none of ours, of another subscription, or too old.
    func read(_ texts: [String], of key: SubscriptionKey) -> [LockToken?] {
        guard let secret = secret.withLock({ $0 }), let here = holder(of: key) else { return texts.map { _ in nil } }
        let now = Int64(WallClock.milliseconds / 1000)
        return texts.map { text in
            guard let token = LockToken(decoding: text, guess: here, secret.write),
                token.holder.durable.utf8.elementsEqual(here.durable.utf8), token.expiry >= now
            else { return nil }
            return token
        }
    }

    /// Two days: no lock is renewed for longer.
    private static let lifetimeSeconds: Int64 = 2 * 86_400
}
