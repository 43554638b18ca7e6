/// The pauses between attempts: doubled each time, within a quarter up or down at random.
struct Backoff {
    private let first: Duration
    private let max: Duration
    private var current: Duration

    init(first: Duration, max: Duration) {
        self.first = first
        self.max = max
        current = first
    }

    mutating func next() -> Duration {
        defer { current = min(current * 2, max) }
        return min(current, max) * Double.random(in: 0.75...1.25)
    }

    mutating func reset() { current = first }
}
