import DeliveryRules
import Testing

/// S-30: tokens are unforgeable, bound and expiring.
@Suite struct LockTokenTests {
    /// A keyed digest that changes with every bit; the real one is HMAC-SHA256, given by the caller.
    static func authenticator(_ key: UInt64) -> LockToken.Authenticator {
        { bytes, code in
            var words: [UInt64] = [key, ~key]
            for byte in bytes {
                for index in words.indices {
                    var mixer = SplitMix(seed: words[index] ^ (UInt64(byte) &+ UInt64(index) << 8))
                    words[index] = mixer.next()
                }
            }
            let bytes = words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
            code.copyBytes(from: bytes.prefix(code.count))
        }
    }

    static func token(_ seed: UInt64) throws -> LockToken {
        var dice = Dice(seed: seed)
        let lock = LockMachine.Lock(sequence: dice.seed(), delivery: dice.below(1000), number: dice.seed())
        let name = String(repeating: "é", count: dice.below(100)) + "acme_orders"
        let holder = try #require(LockToken.Holder(replica: "replica-\(seed)", durable: name))
        return try #require(LockToken(holder: holder, lock: lock, expiry: Int64(bitPattern: dice.seed())))
    }

    @Test func everyTokenComesBack() throws {
        for seed in 0..<UInt64(2000) {
            let token = try Self.token(seed)
            let text = token.encode(Self.authenticator(1))
            #expect(LockToken(decoding: text, Self.authenticator(1)) == token)
            #expect(LockToken(decoding: text, guess: token.holder, Self.authenticator(1)) == token)
            let other = LockToken.Holder(replica: "replica-\(seed + 1)", durable: "acme_ordert")
            #expect(LockToken(decoding: text, guess: other, Self.authenticator(1)) == token)
            #expect(LockToken(decoding: text, Self.authenticator(2)) == nil)
            #expect(text.utf8.allSatisfy { $0.isTokenCharacter })
        }
    }

    @Test func noChangedTokenIsTaken() throws {
        let authenticate = Self.authenticator(9)
        var dice = Dice(seed: 30)
        var taken = 0
        for seed in 0..<UInt64(100) {
            let text = Array(try Self.token(seed % 7).encode(authenticate).utf8)
            for _ in 0..<1000 {
                var changed = text
                changed[dice.below(changed.count)] ^= 1 << UInt8(dice.below(8))
                if LockToken(decoding: String(decoding: changed, as: UTF8.self), authenticate) != nil { taken += 1 }
            }
        }
        #expect(taken == 0)
    }

    @Test func whatIsNoTokenIsRefused() throws {
        let authenticate = Self.authenticator(9)
        let text = try Self.token(3).encode(authenticate)
        let long = String(repeating: "A", count: 5000)
        for wrong in [
            "", "A", "AA", text + "A", text + "=", " " + text, String(text.dropLast()), long, "é", text + text,
        ] {
            #expect(LockToken(decoding: wrong, authenticate) == nil)
        }
    }

    @Test func longNamesHaveNoToken() throws {
        let name = String(repeating: "n", count: 256)
        #expect(LockToken.Holder(replica: name, durable: "d") == nil)
        #expect(LockToken.Holder(replica: "r", durable: name) == nil)
        let holder = try #require(LockToken.Holder(replica: "r", durable: "d"))
        let negative = LockMachine.Lock(sequence: 1, delivery: -1, number: 1)
        #expect(LockToken(holder: holder, lock: negative, expiry: 0) == nil)
    }
}

extension UInt8 {
    fileprivate var isTokenCharacter: Bool {
        switch self {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }
}
