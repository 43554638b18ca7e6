/// Reads the reply subject of a delivered message (ADR-15 of NATS): who delivered it, and what is known of it.
///
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>`, or with the domain (`_` if there
/// is none) and a hash of the account before the stream, and perhaps more tokens at the end.
struct AckSubject {
    /// `<stream>.<consumer>`, where it stands in the subject.
    var consumer: Range<Int> = 0..<0
    var deliveries = 0
    var sequence: UInt64 = 0
    var consumerSequence: UInt64 = 0
    var time: Int64 = 0
    var pending: UInt64 = 0

    private static let prefix: StaticString = "$JS.ACK."
    /// Longest subject accepted; two names of 255 bytes, a domain and the numbers fit.
    static let countMax = 1024

    /// Whether a subject may be published to as an acknowledgement.
    static func isSafe(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count > prefix.utf8CodeUnitCount, bytes.count <= countMax, hasPrefix(bytes) else { return false }
        return isPlain(bytes)
    }

    /// Whether there are only printable ASCII characters and neither spaces nor wildcards.
    static func isPlain(_ bytes: UnsafeRawBufferPointer) -> Bool {
        bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "*") && $0 != UInt8(ascii: ">") }
    }

    private static func hasPrefix(_ bytes: UnsafeRawBufferPointer) -> Bool {
        prefix.withUTF8Buffer { prefix in zip(bytes, prefix).allSatisfy { $0 == $1 } && bytes.count >= prefix.count }
    }

    /// Nil for anything that is not such a subject in full: names, numbers above zero where there must be.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard Self.isSafe(bytes) else { return nil }
        // Where each token begins, and where a twelfth would.
        var starts: (Int, Int, Int, Int, Int, Int, Int, Int, Int, Int, Int, Int, Int) = (
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
        )
        var count = 1
        withUnsafeMutableBytes(of: &starts) { raw in
            let starts = raw.assumingMemoryBound(to: Int.self)
            for index in bytes.indices where bytes[index] == UInt8(ascii: ".") {
                if count < 13 { starts[count] = index + 1 }
                count += 1
            }
            if count < 13 { starts[count] = bytes.count + 1 }
        }
        guard count == 9 || (count >= 11 && count <= 64) else { return nil }
        let first = count == 9 ? 2 : 4
        let read: Bool = withUnsafeBytes(of: &starts) { raw in
            let starts = raw.assumingMemoryBound(to: Int.self)
            func token(_ index: Int) -> Range<Int> { starts[first + index]..<starts[first + index + 1] - 1 }
            func number(_ index: Int) -> UInt64? { Self.number(bytes, token(index)) }
            guard !token(0).isEmpty, !token(1).isEmpty, let deliveries = number(2), let sequence = number(3),
                let consumerSequence = number(4), let time = number(5), let pending = number(6),
                deliveries > 0, sequence > 0, time <= UInt64(Int64.max)
            else { return false }
            consumer = token(0).lowerBound..<token(1).upperBound
            self.deliveries = Int(clamping: deliveries)
            self.sequence = sequence
            self.consumerSequence = consumerSequence
            self.time = Int64(time)
            self.pending = pending
            return true
        }
        guard read else { return nil }
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UInt64? {
        guard (1...20).contains(range.count) else { return nil }
        var value: UInt64 = 0
        for index in range {
            let digit = bytes[index] &- 48
            guard digit < 10 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }
}
