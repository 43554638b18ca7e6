/// What a client holds to settle one delivery: unforgeable, bound to one subscription, and expiring (S-30).
package struct LockToken: Sendable, Hashable {
    /// Where a lock is: the same for many tokens.
    package struct Holder: Sendable, Hashable {
        /// The replica that holds the lock's entry.
        package let replica: String
        /// The durable consumer, which names the tenant and the subscription.
        package let durable: String

        /// Nil if a name is longer than 255 bytes of UTF-8.
        package init?(replica: String, durable: String) {
            guard replica.utf8.count <= 255, durable.utf8.count <= 255 else { return nil }
            self.replica = replica
            self.durable = durable
        }

        fileprivate var byteCount: Int { 2 + replica.utf8.count + durable.utf8.count }
    }

    package let holder: Holder
    package let lock: LockMachine.Lock
    /// When the token ends, in seconds since 1970.
    package let expiry: Int64

    /// Authenticates bytes with a secret: fills `code` with the beginning of, say, their HMAC-SHA256.
    package typealias Authenticator = (_ bytes: UnsafeRawBufferPointer, _ code: UnsafeMutableRawBufferPointer) -> Void

    private static let version: UInt8 = 1
    private static let codeSize = 16
    /// Version, sequence, delivery, number and expiry.
    private static let fixedSize = 1 + 8 + 4 + 8 + 8
    /// Longer texts are no tokens.
    private static let longestText = 1024

    /// A token; nil if the delivery's number is not one of 32 bits.
    package init?(holder: Holder, lock: LockMachine.Lock, expiry: Int64) {
        guard UInt32(exactly: lock.delivery) != nil else { return nil }
        self.holder = holder
        self.lock = lock
        self.expiry = expiry
    }

    /// The token as text: letters, digits, `-` and `_`.
    package func encode(_ authenticate: Authenticator) -> String {
        let size = Self.fixedSize + holder.byteCount
        return withUnsafeTemporaryAllocation(byteCount: size + Self.codeSize, alignment: 1) { bytes in
            var writer = ByteWriter(bytes: bytes)
            writer.append(Self.version)
            writer.append(holder.replica)
            writer.append(holder.durable)
            writer.append(lock.sequence)
            writer.append(UInt32(lock.delivery))
            writer.append(lock.number)
            writer.append(UInt64(bitPattern: expiry))
            let body = UnsafeRawBufferPointer(rebasing: bytes[..<size])
            authenticate(body, UnsafeMutableRawBufferPointer(rebasing: bytes[size...]))
            return Base64URL.encode(UnsafeRawBufferPointer(bytes))
        }
    }

    /// The token of a text; nil unless it was made with the same secret.
    ///
    /// Whoever takes it must still compare ``Holder/durable`` and ``expiry``.
    ///
    /// - Parameter guess: the holder that it probably names, whose texts are used again then.
    package init?(decoding text: String, guess: Holder? = nil, _ authenticate: Authenticator) {
        var text = text
        let token = text.withUTF8 { text -> LockToken? in
            guard text.count <= Self.longestText else { return nil }
            return withUnsafeTemporaryAllocation(byteCount: text.count, alignment: 1) { bytes in
                guard let count = Base64URL.decode(text, into: bytes), count > Self.codeSize else { return nil }
                let all = UnsafeRawBufferPointer(rebasing: bytes[..<count])
                return Self.read(all, guess, authenticate)
            }
        }
        guard let token else { return nil }
        self = token
    }

    private static func read(
        _ bytes: UnsafeRawBufferPointer,
        _ guess: Holder?,
        _ authenticate: Authenticator
    ) -> LockToken? {
        let body = UnsafeRawBufferPointer(rebasing: bytes.dropLast(codeSize))
        let isGenuine = withUnsafeTemporaryAllocation(byteCount: codeSize, alignment: 1) { code in
            authenticate(body, code)
            return isEqual(UnsafeRawBufferPointer(code), UnsafeRawBufferPointer(rebasing: bytes.suffix(codeSize)))
        }
        guard isGenuine else { return nil }
        var reader = ByteReader(bytes: body)
        guard reader.integer(UInt8.self) == version, let replica = reader.name(guess?.replica),
            let durable = reader.name(guess?.durable), let sequence = reader.integer(UInt64.self),
            let delivery = reader.integer(UInt32.self), let number = reader.integer(UInt64.self),
            let expiry = reader.integer(UInt64.self), reader.isAtEnd,
            let holder = Holder(replica: replica, durable: durable)
        else { return nil }
        let lock = LockMachine.Lock(sequence: sequence, delivery: Int(delivery), number: number)
        return LockToken(holder: holder, lock: lock, expiry: Int64(bitPattern: expiry))
    }

    /// Compares in a time that does not depend on where they differ.
    private static func isEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
        var difference: UInt8 = left.count == right.count ? 0 : 1
        for index in 0..<min(left.count, right.count) { difference |= left[index] ^ right[index] }
        return difference == 0
    }
}

/// Puts a token's fields into memory that has room for them.
private struct ByteWriter {
    let bytes: UnsafeMutableRawBufferPointer
    private var position = 0

    init(bytes: UnsafeMutableRawBufferPointer) {
        self.bytes = bytes
    }

    mutating func append<Value: FixedWidthInteger>(_ value: Value) {
        bytes.storeBytes(of: value.bigEndian, toByteOffset: position, as: Value.self)
        position += MemoryLayout<Value>.size
    }

    mutating func append(_ name: String) {
        append(UInt8(name.utf8.count))
        for byte in name.utf8 {
            bytes[position] = byte
            position += 1
        }
    }
}

/// Takes a token's fields from its bytes.
private struct ByteReader {
    let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var isAtEnd: Bool { position == bytes.count }

    mutating func integer<Value: FixedWidthInteger>(_: Value.Type) -> Value? {
        let size = MemoryLayout<Value>.size
        guard bytes.count - position >= size else { return nil }
        defer { position += size }
        return Value(bigEndian: bytes.loadUnaligned(fromByteOffset: position, as: Value.self))
    }

    /// A name; `guess` itself if it is that.
    mutating func name(_ guess: String?) -> String? {
        guard let count = integer(UInt8.self).map(Int.init), bytes.count - position >= count else { return nil }
        defer { position += count }
        let name = UnsafeRawBufferPointer(rebasing: bytes[position..<(position + count)])
        if let guess, Self.isEqual(guess, name) { return guess }
        return String(validating: name, as: UTF8.self)
    }

    private static func isEqual(_ text: String, _ bytes: UnsafeRawBufferPointer) -> Bool {
        var text = text
        return text.withUTF8 { text in
            guard text.count == bytes.count else { return false }
            for index in 0..<text.count where text[index] != bytes[index] { return false }
            return true
        }
    }
}
