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
        guard let parent, Self.isTraceParent(parent.utf8) else {
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
    private static func isTraceParent(_ text: String.UTF8View) -> Bool {
        let parts = text.split(separator: UInt8(ascii: "-"), maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[..<4].map(\.count) == [2, 32, 16, 2] else { return false }
        guard parts[..<4].allSatisfy({ $0.allSatisfy(isLowerHexadecimal) }) else { return false }
        let isFirstVersion = parts[0].elementsEqual("00".utf8)
        guard parts.count == 4 || !isFirstVersion, !parts[0].elementsEqual("ff".utf8) else { return false }
        return ![parts[1], parts[2]].contains { $0.allSatisfy { $0 == UInt8(ascii: "0") } }
    }

    private static func isLowerHexadecimal(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
