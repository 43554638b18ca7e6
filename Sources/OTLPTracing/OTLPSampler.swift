/// Which traces are recorded: the samplers that `OTEL_TRACES_SAMPLER` names.
public struct OTLPSampler: Sendable, Equatable {
    /// What decides about a trace that starts here.
    public enum Root: Sendable, Equatable {
        case alwaysOn
        case alwaysOff
        /// This part of the traces, 0 … 1, by the last eight bytes of the trace id.
        case ratio(Double)
    }

    /// What decides about a trace that starts here.
    public let root: Root
    /// Whether a trace that comes from elsewhere is recorded just if its sender records it.
    public let isParentBased: Bool
    /// Trace ids whose last eight bytes are below this are recorded; nil for all.
    private let bound: UInt64?

    /// A sampler; a ratio outside of 0 … 1 counts as the nearer end.
    public init(root: Root, isParentBased: Bool) {
        self.root = root
        self.isParentBased = isParentBased
        switch root {
        case .alwaysOn: bound = nil
        case .alwaysOff: bound = 0
        case .ratio(let ratio) where ratio >= 1: bound = nil
        case .ratio(let ratio): bound = ratio > 0 ? UInt64(ratio * 0x1p64) : 0
        }
    }

    /// Whether a span of this trace is recorded.
    @inline(__always)
    public func samples(traceIDLow: UInt64, parent: SpanContext?) -> Bool {
        if isParentBased, let parent { return parent.isSampled }
        guard let bound else { return true }
        return traceIDLow < bound
    }

    /// Records everything that its sender records, and everything that starts here.
    public static let standard = OTLPSampler(root: .alwaysOn, isParentBased: true)
}
