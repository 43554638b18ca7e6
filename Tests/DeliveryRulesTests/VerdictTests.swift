import DeliveryRules
import Testing

/// Design §4: what a sink's answer means.
@Suite struct VerdictTests {
    static let policy = DeliveryPolicy(maxAttempts: 5)

    @Test func everyStatusHasItsMeaning() {
        let retried: Set<Int> = [404, 408, 409, 425, 429]
        for status in 100..<600 {
            let verdict = Verdict.of(.status(status), attempt: 1, policy: Self.policy)
            switch status {
            case 200..<300: #expect(verdict == .delivered)
            case 500..<600: #expect(verdict == .retry(after: nil))
            case 401, 403: #expect(verdict == .retry(after: nil))
            case 410: #expect(verdict == .gone)
            case _ where retried.contains(status): #expect(verdict == .retry(after: nil))
            default: #expect(verdict == .deadLetter(.rejected), "\(status)")
            }
        }
    }

    @Test func theLastAttemptIsTheLast() {
        for result in [AttemptResult.failed, .threw, .status(503), .status(429), .status(404)] {
            #expect(Verdict.of(result, attempt: 4, policy: Self.policy) == .retry(after: nil))
            #expect(Verdict.of(result, attempt: 5, policy: Self.policy) == .deadLetter(.retriesExhausted))
            #expect(Verdict.of(result, attempt: 9, policy: Self.policy) == .deadLetter(.retriesExhausted))
        }
    }

    @Test(arguments: [401, 403]) func credentialsAreTriedThreeTimes(status: Int) {
        #expect(Verdict.of(.status(status), attempt: 2, policy: Self.policy) == .retry(after: nil))
        #expect(Verdict.of(.status(status), attempt: 3, policy: Self.policy) == .deadLetter(.rejected))
        let two = DeliveryPolicy(maxAttempts: 2)
        #expect(Verdict.of(.status(status), attempt: 2, policy: two) == .deadLetter(.retriesExhausted))
    }

    @Test func handlersAndWhatNeverLeft() {
        #expect(Verdict.of(.completed, attempt: 1, policy: Self.policy) == .delivered)
        #expect(Verdict.of(.rejected, attempt: 1, policy: Self.policy) == .deadLetter(.rejected))
        #expect(Verdict.of(.notTried, attempt: 5, policy: Self.policy) == .again)
        #expect(Verdict.of(.expired, attempt: 1, policy: Self.policy) == .deadLetter(.expired))
        #expect(Verdict.of(.undeliverable, attempt: 1, policy: Self.policy) == .deadLetter(.undeliverable))
    }

    @Test func whatIsNoStatusIsNoAnswer() {
        for status in [-1, 0, 99, 600, 999, .max, .min] {
            #expect(Verdict.of(.status(status), attempt: 1, policy: Self.policy) == .retry(after: nil))
        }
    }

    @Test func retryAfterIsObeyedUpToItsCap() {
        func after(_ asked: Duration) -> Verdict {
            Verdict.of(.answered(status: 429, retryAfter: asked), attempt: 1, policy: Self.policy)
        }
        #expect(after(.seconds(7)) == .retry(after: .seconds(7)))
        #expect(after(.seconds(Int64.max)) == .retry(after: .seconds(3600)))
        #expect(after(.seconds(-7)) == .retry(after: .zero))
    }
}
