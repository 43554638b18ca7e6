/// W3C Trace Context, Level 1 (and the `random` flag of Level 2).
extension SpanContext {
    /// The name of the header that carries the ids.
    public static let parentField = "traceparent"
    /// The name of the header that carries what vendors add.
    public static let stateField = "tracestate"

    /// Reads the headers of a request.
    ///
    /// A later version is read as far as version 00 goes; version `ff`, ids of zeros and anything else than lower-case
    /// hexadecimal are invalid (§3.2.2). A `tracestate` that is invalid is left out, the rest stays valid (§3.3).
    ///
    /// - Returns: nil when `traceparent` is not valid; the trace then starts anew, without the state.
    public init?(traceParent: String, traceState: String? = nil) {
        var text = traceParent
        let parsed = text.withUTF8 { Self.parse($0) }
        guard let parsed else { return nil }
        self.init(
            traceIDHigh: parsed.high,
            traceIDLow: parsed.low,
            spanID: parsed.span,
            flags: parsed.flags,
            state: traceState.flatMap(TraceState.checked),
            isRemote: true
        )
    }

    /// The `traceparent` header: version 00, 55 characters.
    public var traceParent: String {
        String(unsafeUninitializedCapacity: Self.parentLength) { bytes in
            bytes[0] = 0x30
            bytes[1] = 0x30
            for index in [2, 35, 52] { bytes[index] = Self.dash }
            Hexadecimal.write(traceIDHigh, count: 16, to: bytes, at: 3)
            Hexadecimal.write(traceIDLow, count: 16, to: bytes, at: 19)
            Hexadecimal.write(spanID, count: 16, to: bytes, at: 36)
            Hexadecimal.write(UInt64(flags & Self.knownFlags), count: 2, to: bytes, at: 53)
            return Self.parentLength
        }
    }

    private static let parentLength = 55
    private static let knownFlags = sampledFlag | randomFlag
    private static let dash = UInt8(ascii: "-")

    private typealias Parsed = (high: UInt64, low: UInt64, span: UInt64, flags: UInt8)

    private static func parse(_ bytes: UnsafeBufferPointer<UInt8>) -> Parsed? {
        guard bytes.count >= parentLength, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = Hexadecimal.read(bytes, at: 0, count: 2), version != 0xFF,
            bytes.count == parentLength || (version > 0 && bytes[parentLength] == dash),
            let high = Hexadecimal.read(bytes, at: 3, count: 16),
            let low = Hexadecimal.read(bytes, at: 19, count: 16), high != 0 || low != 0,
            let span = Hexadecimal.read(bytes, at: 36, count: 16), span != 0,
            let flags = Hexadecimal.read(bytes, at: 53, count: 2)
        else { return nil }
        return (high, low, span, UInt8(flags) & knownFlags)
    }
}
