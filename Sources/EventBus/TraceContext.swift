package import JetStream

/// The trace context of the request that brought an event (W3C Trace Context): it travels beside the event as NATS
/// headers, never inside it.
package struct TraceContext: Sendable {
    /// The `traceparent` header, if it is a valid one.
    package let parent: HeaderValue?
    /// The `tracestate` header; only together with a valid parent.
    package let state: HeaderValue?

    /// Most bytes of a `tracestate` that is passed on: what every implementation must be able to carry (§3.3.1.5).
    package static let stateBytesMax = 512

    /// No trace.
    package static let none = TraceContext(parent: nil, state: nil)

    /// Takes what is valid; an invalid parent is ignored together with the state (§3.2, §3.3).
    package init(parent: String?, state: String?) {
        guard let parent, Self.isTraceParent(parent) else {
            self.parent = nil
            self.state = nil
            return
        }
        self.parent = HeaderValue(parent)
        self.state = state.flatMap { $0.utf8.count <= Self.stateBytesMax ? HeaderValue($0) : nil }
    }

    /// Whether the text is `version-traceid-parentid-flags` in lower-case hexadecimal (§3.2.2).
    ///
    /// Version `ff` and ids of zeros are invalid; a later version may have more behind a further dash.
    private static func isTraceParent(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            let dash = UInt8(ascii: "-")
            guard bytes.count >= length, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash else { return false }
            let isFirstVersion = bytes[0] == UInt8(ascii: "0") && bytes[1] == UInt8(ascii: "0")
            guard bytes.count == length || (!isFirstVersion && bytes[length] == dash) else { return false }
            guard bytes[0] != UInt8(ascii: "f") || bytes[1] != UInt8(ascii: "f") else { return false }
            return isHexadecimal(bytes[0..<2]) && isHexadecimal(bytes[3..<35]) && isHexadecimal(bytes[36..<52])
                && isHexadecimal(bytes[53..<55]) && bytes[3..<35].contains { $0 != UInt8(ascii: "0") }
                && bytes[36..<52].contains { $0 != UInt8(ascii: "0") }
        }
    }

    /// How long the header is in version 00, in bytes.
    private static let length = 55

    private static func isHexadecimal(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        bytes.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
        }
    }
}
