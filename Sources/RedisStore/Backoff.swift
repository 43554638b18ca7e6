/// Pauses between attempts: doubling, with jitter down to half.
struct Backoff {
    private let shortest: Nanoseconds
    private let longest: Nanoseconds
    private var base: Nanoseconds

    init(_ configuration: RedisConfiguration) {
        shortest = max(configuration.reconnectPauseMin.nanoseconds, 1_000_000)
        longest = max(configuration.reconnectPauseMax.nanoseconds, shortest)
        base = shortest
    }

    /// The next pause.
    mutating func next() -> Nanoseconds {
        defer { base = min(base * 2, longest) }
        return .random(in: base / 2...base)
    }

    /// Begins anew after a connection that lasted.
    ///
    /// One that did not leaves the pause as it is, so that a server that ends all connections is not stormed.
    mutating func noteEnd(ofConnectionAfter life: Nanoseconds) {
        if life >= longest { base = shortest }
    }
}
