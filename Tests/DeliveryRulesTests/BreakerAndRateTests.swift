import DeliveryRules
import Testing

@Suite struct CircuitBreakerTests {
    static func opened(at now: Int64 = 0) -> CircuitBreaker {
        var breaker = CircuitBreaker(policy: .init())
        for _ in 0..<10 { breaker.record(failed: true, now: now) }
        return breaker
    }

    @Test func itTakesTenTriesAndSeventyPercent() {
        var breaker = CircuitBreaker(policy: .init())
        for _ in 0..<9 { breaker.record(failed: true, now: 0) }
        #expect(breaker.state == .closed)
        breaker.record(failed: true, now: 0)
        #expect(breaker.state == .open(until: 30 * second))
        var mixed = CircuitBreaker(policy: .init())
        for index in 0..<1000 { mixed.record(failed: index * 7 % 10 < 6, now: Int64(index) * second / 10) }
        #expect(mixed.state == .closed)
    }

    @Test func oldFailuresAreForgotten() {
        for start in [Int64(0), -1_000_000 * second, 1 << 60] {
            var breaker = CircuitBreaker(policy: .init())
            for index in 0..<9 { breaker.record(failed: true, now: start + Int64(index) * second) }
            breaker.record(failed: true, now: start + 400 * second)
            #expect(breaker.state == .closed)
        }
    }

    @Test func theProbeDecidesAndThePauseDoublesToItsCap() {
        var breaker = Self.opened()
        var now: Int64 = 0
        for pause in [30, 60, 120, 240, 300, 300] {
            guard case .open(let until) = breaker.state else {
                Issue.record("not open")
                return
            }
            #expect(until - now == Int64(pause) * second)
            breaker.advance(to: until - 1)
            #expect(breaker.state != .halfOpen)
            breaker.advance(to: until)
            #expect(breaker.state == .halfOpen)
            now = until
            breaker.recordProbe(failed: nil, now: now)
            #expect(breaker.state == .halfOpen)
            breaker.recordProbe(failed: true, now: now)
        }
        breaker.advance(to: .max)
        breaker.recordProbe(failed: false, now: now)
        #expect(breaker.state == .closed)
        for _ in 0..<10 { breaker.record(failed: true, now: now) }
        #expect(breaker.state == .open(until: now + 30 * second))
    }

    @Test func resultsWhileOpenDoNotCount() {
        var breaker = Self.opened()
        for _ in 0..<100 { breaker.record(failed: false, now: second) }
        breaker.recordProbe(failed: false, now: second)
        #expect(breaker.state == .open(until: 30 * second))
    }

    @Test func theEndOfTimeIsNoTrap() {
        var breaker = CircuitBreaker(policy: .init())
        for now in [Int64.min, -1, 0, 1, .max - 1, .max] {
            for _ in 0..<10 { breaker.record(failed: true, now: now) }
            breaker.reset()
        }
        for _ in 0..<10 { breaker.record(failed: true, now: .max) }
        #expect(breaker.state == .open(until: .max))
    }
}

@Suite struct RateLimiterTests {
    /// No half-open window of 60 seconds holds more than the limit, whatever the arrivals.
    @Test(arguments: [1, 2, 59, 60, 61, 600, 6000, 100_000])
    func noMinuteHasMoreThanTheLimit(limit: Int) {
        var dice = Dice(seed: UInt64(limit))
        var limiter = RateLimiter(perMinute: limit)
        var taken: [Int64] = []
        var first = 0
        var worst = 0
        var now: Int64 = -200 * second
        for _ in 0..<100_000 {
            now += dice.within(0...(120 * second / Int64(limit)))
            if dice.percent(1) { now += 90 * second }
            if limiter.take(now) { taken.append(now) }
            while first < taken.count, taken[first] <= now - 60 * second { first += 1 }
            worst = max(worst, taken.count - first)
        }
        #expect(worst <= limit)
        if limit <= 600 { #expect(worst * 10 >= limit * 7) }
    }

    @Test func nextIsWhenItMayBeTaken() {
        var limiter = RateLimiter(perMinute: 60)
        let first = limiter.take(0)
        let second = limiter.take(0)
        let next = limiter.next(0)
        let early = limiter.take(next - 1)
        let third = limiter.take(next)
        #expect(first && !second && !early && third)
    }
}
