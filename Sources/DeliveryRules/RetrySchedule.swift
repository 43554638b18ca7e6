/// How long to wait after each failed attempt.
package struct RetrySchedule: Sendable, Equatable {
    /// The wait after the first failure, after the second, and so on; the last one repeats; never empty.
    package let steps: [Duration]
    /// The share of a step by which a wait may be shorter or longer, from 0 to 1.
    package let jitter: Double

    /// No wait is longer than this: a day and the jitter's part of it.
    package static let longest: Duration = .seconds(86_400)

    /// The default of a subscription: 5, 30, 120 and 600 seconds, ±20 %.
    package static let standard = RetrySchedule(
        steps: [.seconds(5), .seconds(30), .seconds(120), .seconds(600)]
    )

    /// A list of steps; negative ones count as none, too long ones as ``longest``, no list as ``standard``.
    package init(steps: [Duration], jitter: Double = 0.2) {
        let bounded = steps.map { min(max($0, .zero), Self.longest) }
        self.steps = bounded.isEmpty ? [.seconds(5), .seconds(30), .seconds(120), .seconds(600)] : bounded
        self.jitter = jitter.isFinite ? min(max(jitter, 0), 1) : 0
    }

    /// A wait that begins with `first` and is multiplied by `factor` after each failure, up to `cap`.
    package init(exponentialFrom first: Duration, factor: Double = 2, cap: Duration, jitter: Double = 0.2) {
        var steps: [Duration] = []
        let cap = min(max(cap, .milliseconds(1)), Self.longest)
        let factor = factor.isFinite ? max(factor, 1) : 1
        var step = min(max(first, .milliseconds(1)), cap)
        while step < cap, steps.count < 64 {
            steps.append(step)
            step = min(step * factor, cap)
        }
        steps.append(step)
        self.init(steps: steps, jitter: jitter)
    }

    /// The wait after attempt number `attempt` (from 1) failed.
    ///
    /// `retryAfter`, what the receiver asked for, is a lower bound and is never shortened by jitter.
    package func delay(
        afterAttempt attempt: Int,
        atLeast retryAfter: Duration?,
        _ random: inout some RandomNumberGenerator
    ) -> Duration {
        let step = steps[min(max(attempt, 1), steps.count) - 1]
        let fraction = Double(random.next() >> 11) * 0x1p-53
        let jittered = Duration.nanoseconds(Int64(Double(step.nanoseconds) * (1 + jitter * (2 * fraction - 1))))
        guard let retryAfter else { return jittered }
        return max(jittered, retryAfter)
    }
}
