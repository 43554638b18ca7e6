public import Instrumentation

/// What names a span everywhere: the ids of its trace and of itself, and what W3C Trace Context carries beside them.
public struct SpanContext: Sendable, Hashable {
    /// The first eight bytes of the trace id.
    public let traceIDHigh: UInt64
    /// The last eight bytes of the trace id.
    public let traceIDLow: UInt64
    /// The span id; never zero in a valid context.
    public let spanID: UInt64
    /// The trace flags: of these, `sampled` (1) and `random` (2) have a meaning (Trace Context §3.2.2.5).
    public let flags: UInt8
    /// The `tracestate`, checked and as it is passed on; nil if there is none.
    public let state: String?
    /// Whether it came from another process.
    public let isRemote: Bool

    /// Flag of a trace that is recorded.
    public static let sampledFlag: UInt8 = 1
    /// Flag of a trace whose id is random in its last seven bytes (Trace Context, Level 2).
    public static let randomFlag: UInt8 = 2

    /// Whether the trace is recorded.
    public var isSampled: Bool { flags & Self.sampledFlag != 0 }

    /// A context of these ids, which are not checked.
    public init(
        traceIDHigh: UInt64,
        traceIDLow: UInt64,
        spanID: UInt64,
        flags: UInt8,
        state: String? = nil,
        isRemote: Bool = false
    ) {
        self.traceIDHigh = traceIDHigh
        self.traceIDLow = traceIDLow
        self.spanID = spanID
        self.flags = flags
        self.state = state
        self.isRemote = isRemote
    }

    /// The trace id as 32 lower-case hexadecimal digits.
    public var traceIDText: String {
        String(unsafeUninitializedCapacity: 32) { bytes in
            Hexadecimal.write(traceIDHigh, count: 16, to: bytes, at: 0)
            Hexadecimal.write(traceIDLow, count: 16, to: bytes, at: 16)
            return 32
        }
    }

    /// The span id as 16 lower-case hexadecimal digits.
    public var spanIDText: String {
        String(unsafeUninitializedCapacity: 16) { bytes in
            Hexadecimal.write(spanID, count: 16, to: bytes, at: 0)
            return 16
        }
    }
}

private enum SpanContextKey: ServiceContextKey {
    typealias Value = SpanContext
    static let nameOverride: String? = "span-context"
}

extension ServiceContext {
    /// The span that what is started in this context belongs to.
    public var spanContext: SpanContext? {
        get { self[SpanContextKey.self] }
        set { self[SpanContextKey.self] = newValue }
    }
}
