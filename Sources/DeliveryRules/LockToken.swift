/// What a client holds to settle one delivery: unforgeable, bound to one subscription, and expiring (S-30).
package struct LockToken: Sendable, Hashable {
    /// The replica that holds the lock's entry.
    package let replica: String
    /// The durable consumer, which names the tenant and the subscription.
    package let durable: String
    package let lock: LockMachine.Lock
    /// When the token ends, in seconds since 1970.
    package let expiry: Int64

    /// Authenticates bytes with a secret; at least 16 bytes, as HMAC-SHA256 gives.
    package typealias Authenticator = (_ bytes: [UInt8]) -> [UInt8]

    private static let version: UInt8 = 1
    private static let macSize = 16
    /// Longer texts are no tokens.
    private static let longestText = 1024

    /// A token; nil if a name is longer than 255 bytes of UTF-8.
    package init?(replica: String, durable: String, lock: LockMachine.Lock, expiry: Int64) {
        guard replica.utf8.count <= 255, durable.utf8.count <= 255, UInt32(exactly: lock.delivery) != nil else {
            return nil
        }
        self.replica = replica
        self.durable = durable
        self.lock = lock
        self.expiry = expiry
    }

    /// The token as text: letters, digits, `-` and `_`.
    package func encode(_ authenticate: Authenticator) -> String {
        var bytes: [UInt8] = [Self.version]
        for name in [replica, durable] {
            bytes.append(UInt8(name.utf8.count))
            bytes.append(contentsOf: name.utf8)
        }
        bytes.append(bigEndian: lock.sequence)
        bytes.append(bigEndian: UInt32(lock.delivery))
        bytes.append(bigEndian: lock.number)
        bytes.append(bigEndian: UInt64(bitPattern: expiry))
        return Base64URL.encode(bytes + authenticate(bytes).prefix(Self.macSize))
    }

    /// The token of a text; nil unless it was made with the same secret.
    ///
    /// Whoever takes it must still compare ``durable`` and ``expiry``.
    package init?(decoding text: String, _ authenticate: Authenticator) {
        guard text.utf8.count <= Self.longestText, let bytes = Base64URL.decode(text), bytes.count > Self.macSize else {
            return nil
        }
        let body = Array(bytes.dropLast(Self.macSize))
        let expected = authenticate(body).prefix(Self.macSize)
        guard expected.count == Self.macSize, Self.isEqual(Array(expected), bytes.suffix(Self.macSize)) else {
            return nil
        }
        var reader = ByteReader(bytes: body)
        guard reader.byte() == Self.version, let replica = reader.name(), let durable = reader.name(),
            let sequence = reader.integer(UInt64.self), let delivery = reader.integer(UInt32.self),
            let number = reader.integer(UInt64.self), let expiry = reader.integer(UInt64.self), reader.isAtEnd
        else { return nil }
        self.replica = replica
        self.durable = durable
        lock = LockMachine.Lock(sequence: sequence, delivery: Int(delivery), number: number)
        self.expiry = Int64(bitPattern: expiry)
    }

    /// Compares in a time that does not depend on where they differ.
    private static func isEqual(_ left: [UInt8], _ right: ArraySlice<UInt8>) -> Bool {
        var difference: UInt8 = left.count == right.count ? 0 : 1
        for (one, other) in zip(left, right) { difference |= one ^ other }
        return difference == 0
    }
}

/// Takes a token's fields from its bytes.
private struct ByteReader {
    let bytes: [UInt8]
    private var position = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func byte() -> UInt8? { integer(UInt8.self) }

    mutating func integer<Value: FixedWidthInteger>(_: Value.Type) -> Value? {
        let size = Value.bitWidth / 8
        guard bytes.count - position >= size else { return nil }
        defer { position += size }
        return bytes[position..<(position + size)].reduce(0) { $0 << 8 | Value($1) }
    }

    mutating func name() -> String? {
        guard let count = byte().map(Int.init), bytes.count - position >= count else { return nil }
        defer { position += count }
        return String(validating: bytes[position..<(position + count)], as: UTF8.self)
    }
}

extension [UInt8] {
    fileprivate mutating func append<Value: FixedWidthInteger>(bigEndian value: Value) {
        var shift = Value.bitWidth
        while shift > 0 {
            shift -= 8
            append(UInt8(truncatingIfNeeded: value >> Value(shift)))
        }
    }
}
