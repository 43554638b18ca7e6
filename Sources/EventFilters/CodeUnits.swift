/// Texts as their UTF-8 code units: filters never compare by canonical equivalence or by grapheme (SUB-11).
package enum CodeUnits {
    /// Whether both texts have the same code units.
    package static func equal(_ left: String, _ right: String) -> Bool {
        with(left) { left in with(right) { right in left.elementsEqual(right) } }
    }

    /// Runs `body` with the text's code units.
    @inline(__always)
    static func with<Result>(_ text: String, _ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        if let result = text.utf8.withContiguousStorageIfAvailable(body) { return result }
        var copy = text
        return copy.withUTF8(body)
    }

    /// Feeds the code units to the hasher, the counterpart of ``equal(_:_:)``.
    static func hash(_ text: String, into hasher: inout Hasher) {
        with(text) { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(0xFF as UInt8)
    }
}
