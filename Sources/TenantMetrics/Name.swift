import Glibc

/// A tenant's or type's name that is equal to another only if the bytes are.
///
/// `String` compares by canonical equivalence and hashes the normal form: another identity than the one Redis knows, and
/// slower.
package struct Name: Hashable, Sendable {
    package let text: String

    package init(_ text: String) { self.text = text }

    @inline(__always)
    package static func == (left: Name, right: Name) -> Bool { left.isSame(as: right.text) }

    /// Whether the bytes are those of `other`.
    @inline(__always)
    func isSame(as other: String) -> Bool {
        let result = text.utf8.withContiguousStorageIfAvailable { mine in
            other.utf8.withContiguousStorageIfAvailable { theirs in
                mine.count == theirs.count && same(mine, theirs)
            }
        }
        return (result ?? nil) ?? text.utf8.elementsEqual(other.utf8)
    }

    package func hash(into hasher: inout Hasher) {
        let done: Void? = text.utf8.withContiguousStorageIfAvailable {
            hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        if done == nil { for byte in text.utf8 { hasher.combine(byte) } }
    }

    package var bytes: [UInt8] { Array(text.utf8) }
}

/// Whether two buffers of the same length hold the same bytes.
@inline(__always)
private func same(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Bool {
    guard let first = left.baseAddress, let second = right.baseAddress else { return left.count == 0 }
    return memcmp(first, second, left.count) == 0
}

extension UInt64 {
    /// The sum, or the largest value where it does not fit.
    func adding(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }

    @inline(__always)
    mutating func add(_ other: UInt64) { self = adding(other) }
}
