import OTLPTracing
import Testing

@Suite("Times of spans (R-38)")
struct SpanTimesTests {
    private static let hour: UInt64 = 3_600_000_000_000
    private static let wall: UInt64 = 1_700_000_000_000_000_000

    @Test("A wall clock that jumps changes no duration", arguments: [0, 3600, -3600, -1, 31_536_000] as [Int64])
    func jump(seconds: Int64) {
        var times = SpanTimes(wall: Self.wall, monotonic: 1000)
        let later = UInt64(Int64(Self.wall) + seconds * 1_000_000_000) + 500
        #expect(times.time(of: later, wall: later, monotonic: 1400) == Self.wall + 400)
        var other = times
        times.end(monotonic: 1500)
        other.end(instant: later, wall: later, monotonic: 1500)
        #expect(times.duration == 500 && other.duration == 500)
        #expect(times.end == Self.wall + 500)
    }

    @Test("Instants that the program gives count by their distance from now") func explicit() {
        let past = Self.wall - 5 * Self.hour
        var times = SpanTimes(instant: past, wall: Self.wall, monotonic: 9 * Self.hour)
        #expect(times.start == past)
        times.end(instant: past + Self.hour, wall: Self.wall, monotonic: 9 * Self.hour)
        #expect(times.duration == Self.hour && times.end == past + Self.hour)
    }

    @Test("No duration is negative, and nothing overflows") func clamped() {
        var times = SpanTimes(wall: Self.wall, monotonic: 1000)
        times.end(instant: Self.wall - Self.hour, wall: Self.wall, monotonic: 2000)
        #expect(times.duration == 0 && times.end == times.start)
        var late = SpanTimes(instant: .max, wall: 0, monotonic: .max)
        late.end(instant: 0, wall: .max, monotonic: 0)
        #expect(late.duration == 0)
        var early = SpanTimes(instant: 0, wall: .max, monotonic: 0)
        early.end(instant: .max, wall: 0, monotonic: .max)
        #expect(early.duration == .max)
    }
}
