/// When a span began, by the wall clock, and how long it took, by the monotonic clock.
///
/// The wall clock is read once; whatever it does afterwards, durations stay true and never become negative.
package struct SpanTimes: Sendable, Equatable {
    /// Nanoseconds since 1970.
    package let start: UInt64
    /// The monotonic time of the start, in nanoseconds.
    package let origin: UInt64
    /// Nanoseconds from start to end; nil until the end.
    package private(set) var duration: UInt64?

    /// A span that begins now.
    package init(wall: UInt64, monotonic: UInt64) {
        start = wall
        origin = monotonic
    }

    /// A span that began at `instant`, which lies as far from now as the wall clock says now.
    package init(instant: UInt64, wall: UInt64, monotonic: UInt64) {
        start = instant
        origin = Self.monotonic(of: instant, wall: wall, monotonic: monotonic)
    }

    /// Nanoseconds since 1970 of the end, or of the start as long as it has not ended.
    package var end: UInt64 { start &+ (duration ?? 0) }

    /// Ends it now.
    package mutating func end(monotonic: UInt64) {
        duration = monotonic > origin ? monotonic &- origin : 0
    }

    /// Ends it at `instant`; before the start counts as at the start.
    package mutating func end(instant: UInt64, wall: UInt64, monotonic: UInt64) {
        end(monotonic: Self.monotonic(of: instant, wall: wall, monotonic: monotonic))
    }

    /// The time of something within the span, in nanoseconds since 1970 as the span counts them.
    package func time(of instant: UInt64, wall: UInt64, monotonic: UInt64) -> UInt64 {
        let point = Self.monotonic(of: instant, wall: wall, monotonic: monotonic)
        return point > origin ? start &+ (point &- origin) : start &- min(start, origin &- point)
    }

    /// The monotonic time of an instant whose distance from now the wall clock tells.
    private static func monotonic(of instant: UInt64, wall: UInt64, monotonic: UInt64) -> UInt64 {
        guard instant <= wall else {
            let (sum, overflow) = monotonic.addingReportingOverflow(instant &- wall)
            return overflow ? .max : sum
        }
        return monotonic &- min(monotonic, wall &- instant)
    }
}
