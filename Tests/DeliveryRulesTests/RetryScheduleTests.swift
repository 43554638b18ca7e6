import DeliveryRules
import Testing

/// the waits between attempts.
@Suite struct RetryScheduleTests {
    @Test(arguments: [(1, 5), (2, 30), (3, 120), (4, 600), (5, 600), (1000, 600), (0, 5), (-3, 5)])
    func theStandardScheduleAndItsEnd(attempt: Int, seconds: Int64) {
        var random = SplitMix(seed: 1)
        for _ in 0..<100 {
            let delay = RetrySchedule.standard.delay(afterAttempt: attempt, atLeast: nil, &random)
            #expect(delay >= .milliseconds(seconds * 800) && delay <= .milliseconds(seconds * 1200))
        }
    }

    @Test func aMillionDrawsStayInBoundsAndFillThem() {
        var random = SplitMix(seed: 21)
        let schedules = [
            RetrySchedule.standard, RetrySchedule(steps: [.milliseconds(10)], jitter: 1),
            RetrySchedule(steps: [.seconds(3600), .zero, .seconds(900_000)], jitter: 0.5),
            RetrySchedule(exponentialFrom: .milliseconds(500), cap: .seconds(3600)),
        ]
        var violations = 0
        var shortest = 1.0
        var longest = 1.0
        for draw in 0..<1_000_000 {
            let schedule = schedules[draw & 3]
            let attempt = 1 + draw % 12
            let asked: Duration? = draw % 3 == 0 ? .seconds(draw % 5000) : nil
            let delay = schedule.delay(afterAttempt: attempt, atLeast: asked, &random)
            let step = schedule.steps[min(attempt, schedule.steps.count) - 1]
            let low = step * (1 - schedule.jitter)
            let high = step * (1 + schedule.jitter)
            if let asked {
                if delay < asked || delay < low - .nanoseconds(1) || delay > max(high, asked) { violations += 1 }
            } else {
                if delay < low - .nanoseconds(1) || delay > high { violations += 1 }
                if draw & 3 == 0 {
                    shortest = min(shortest, delay / step)
                    longest = max(longest, delay / step)
                }
            }
        }
        #expect(violations == 0)
        #expect(shortest < 0.81 && longest > 1.19)
    }

    @Test func anExponentialScheduleGrowsToItsCap() {
        let schedule = RetrySchedule(exponentialFrom: .seconds(1), factor: 3, cap: .seconds(20), jitter: 0)
        #expect(schedule.steps == [.seconds(1), .seconds(3), .seconds(9), .seconds(20)])
        #expect(RetrySchedule(exponentialFrom: .zero, factor: .nan, cap: .zero).steps == [.milliseconds(1)])
    }

    @Test func nonsenseIsBounded() {
        #expect(RetrySchedule(steps: []).steps == RetrySchedule.standard.steps)
        let odd = RetrySchedule(steps: [.seconds(-5), .seconds(Int64.max)], jitter: .infinity)
        #expect(odd.steps == [.zero, RetrySchedule.longest])
        #expect(odd.jitter == 0)
    }

    @Test func theSameSeedGivesTheSameDelays() {
        var one = SplitMix(seed: 5)
        var other = SplitMix(seed: 5)
        for attempt in 1...20 {
            let delay = RetrySchedule.standard.delay(afterAttempt: attempt, atLeast: nil, &one)
            #expect(delay == RetrySchedule.standard.delay(afterAttempt: attempt, atLeast: nil, &other))
        }
    }
}
