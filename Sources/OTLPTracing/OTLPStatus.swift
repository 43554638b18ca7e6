/// What became of the spans of an ``OTLPTracer`` since it was made.
public struct OTLPStatus: Sendable, Equatable {
    /// Spans that wait for export or are on their way.
    public var pending = 0
    /// Spans that the collector took.
    public var exported: UInt64 = 0
    /// Spans that the collector took the request of, and refused (partial success).
    public var rejected: UInt64 = 0
    /// Spans that found the queue full.
    public var droppedByQueue: UInt64 = 0
    /// Spans whose export failed for good: refused by the collector, or too often not delivered.
    public var droppedByFailure: UInt64 = 0
    /// Requests that were sent, or tried to.
    public var requests: UInt64 = 0
    /// Requests that failed, for whatever reason.
    public var failures: UInt64 = 0
    /// Why the last request failed; nil after one that succeeded.
    public var lastFailure: String?
}
