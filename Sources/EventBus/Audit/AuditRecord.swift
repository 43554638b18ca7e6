/// One message of the audit stream: what a replica acknowledged in about a second.
///
/// The payload, version 1. Integers are LEB128 varints unless a size is given; times are milliseconds since 1970 on the
/// replica's clock.
///
///     bytes 2     53 4C ("SL")
///     byte        version: 1
///     byte        flags: 1 = a full stream discards its oldest; 2 = the replica's last record
///     varint      number of the record: 1, 2, 3 … for each replica, so that a missing one is seen
///     varint      time of the record before, 0 in the first
///     varint      earliest time of an entry; varint: time of this record
///     varint      entries dropped since the record before
///     varint      how long events are kept by configuration, seconds, 0 for ever
///     varint n, n bytes   name of the stream that the sequences are of
///     varint n, then n entries in ascending order: varint sequence less the one before, 8 bytes digest (little-endian)
///     8 bytes     XXH64 of all bytes before (little-endian)
package struct AuditRecord: Sendable, Equatable {
    /// 1, 2, 3 … for each replica.
    package var number: UInt64
    /// Time of the replica's record before this one; 0 in the first.
    package var previousTime: UInt64
    /// When the oldest of the entries was taken over, at most the moments of a publish after it was stored.
    package var earliestTime: UInt64
    /// When the record was made.
    package var time: UInt64
    /// Acknowledged events that are in no record, since the record before.
    package var dropped: UInt64
    /// What was promised about the entries.
    package var promise: Promise
    /// Whether the replica ended in good order after this record.
    package var isLast: Bool
    /// The name of the stream that the sequences are of.
    package var stream: String
    /// The entries, in ascending order of their sequences.
    package var entries: [AuditEntry]

    /// How long the configuration promised to keep an event when it was acknowledged.
    package struct Promise: Sendable, Equatable {
        /// Seconds; 0 for ever.
        package var ageMaxSeconds: UInt64
        /// Whether a full stream lets its oldest events go.
        package var discardsOldest: Bool

        package init(ageMaxSeconds: UInt64, discardsOldest: Bool) {
            self.ageMaxSeconds = ageMaxSeconds
            self.discardsOldest = discardsOldest
        }
    }

    /// Why bytes are no record.
    package enum Fault: Error, Sendable, Equatable, CustomStringConvertible {
        case notARecord
        case version(UInt8)
        case damaged

        package var description: String {
            switch self {
            case .notARecord: "not an audit record"
            case .version(let version): "written in version \(version), which this program does not know"
            case .damaged: "damaged"
            }
        }
    }

    package static let version: UInt8 = 1
    /// Most bytes that one entry takes.
    package static let entryBytesMax = 18
    /// Most bytes that everything but the entries takes.
    package static let frameBytesMax = 400

    private static let magic: [UInt8] = [0x53, 0x4C]
    private static let discardsOldestFlag: UInt8 = 1
    private static let lastFlag: UInt8 = 2

    package init(
        number: UInt64,
        previousTime: UInt64,
        earliestTime: UInt64,
        time: UInt64,
        dropped: UInt64,
        promise: Promise,
        isLast: Bool,
        stream: String,
        entries: [AuditEntry]
    ) {
        self.number = number
        self.previousTime = previousTime
        self.earliestTime = earliestTime
        self.time = time
        self.dropped = dropped
        self.promise = promise
        self.isLast = isLast
        self.stream = stream
        self.entries = entries.sorted { $0.sequence < $1.sequence }
    }

    /// The record as a payload.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.frameBytesMax + entries.count * 10)
        bytes += Self.magic
        bytes.append(Self.version)
        bytes.append((promise.discardsOldest ? Self.discardsOldestFlag : 0) | (isLast ? Self.lastFlag : 0))
        for value in [number, previousTime, earliestTime, time, dropped, promise.ageMaxSeconds] {
            bytes.append(varint: value)
        }
        bytes.append(varint: UInt64(stream.utf8.count))
        bytes.append(contentsOf: stream.utf8)
        bytes.append(varint: UInt64(entries.count))
        var before: UInt64 = 0
        for entry in entries {
            bytes.append(varint: entry.sequence - before)
            bytes.append(word: entry.digest)
            before = entry.sequence
        }
        bytes.append(word: PayloadDigest.of(bytes[...]))
        return bytes
    }

    /// Reads a payload; nothing in it is trusted.
    package init(decoding bytes: [UInt8]) throws(Fault) {
        guard bytes.starts(with: Self.magic), bytes.count >= 12 else { throw .notARecord }
        guard bytes[2] == Self.version else { throw .version(bytes[2]) }
        var seal = RecordReader(bytes[(bytes.count - 8)...])
        guard seal.word() == PayloadDigest.of(bytes[..<(bytes.count - 8)]) else { throw .damaged }
        let flags = bytes[3]
        var reader = RecordReader(bytes[4..<(bytes.count - 8)])
        guard let number = reader.varint(), let previousTime = reader.varint(), let earliestTime = reader.varint(),
            let time = reader.varint(), let dropped = reader.varint(), let ageMaxSeconds = reader.varint(),
            let stream = reader.text(), let count = reader.varint(), count <= UInt64(bytes.count / 9)
        else { throw .damaged }
        var entries: [AuditEntry] = []
        entries.reserveCapacity(Int(count))
        var sequence: UInt64 = 0
        for _ in 0..<count {
            guard let step = reader.varint(), let digest = reader.word() else { throw .damaged }
            let (next, overflow) = sequence.addingReportingOverflow(step)
            guard !overflow, next > 0 else { throw .damaged }
            sequence = next
            entries.append(AuditEntry(sequence: sequence, digest: digest))
        }
        guard reader.isAtEnd, number > 0 else { throw .damaged }
        self.number = number
        self.previousTime = previousTime
        self.earliestTime = earliestTime
        self.time = time
        self.dropped = dropped
        self.promise = Promise(ageMaxSeconds: ageMaxSeconds, discardsOldest: flags & Self.discardsOldestFlag != 0)
        self.isLast = flags & Self.lastFlag != 0
        self.stream = stream
        self.entries = entries
    }
}

extension [UInt8] {
    /// Appends an unsigned LEB128 number: seven bits a byte, the lowest first, the eighth set on all but the last.
    fileprivate mutating func append(varint value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    /// Appends eight bytes, the lowest first.
    fileprivate mutating func append(word: UInt64) {
        Swift.withUnsafeBytes(of: word.littleEndian) { append(contentsOf: $0) }
    }
}

/// Reads the parts of a record; every read is `nil` where the bytes end too soon.
private struct RecordReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            guard shift < 63 || byte <= 1 else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    mutating func word() -> UInt64? {
        guard rest.count >= 8 else { return nil }
        let value = rest.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
        rest = rest.dropFirst(8)
        return value
    }

    mutating func text() -> String? {
        guard let count = varint(), count <= 255, rest.count >= Int(count) else { return nil }
        let bytes = rest.prefix(Int(count))
        rest = rest.dropFirst(Int(count))
        return String(validating: bytes, as: UTF8.self)
    }
}
