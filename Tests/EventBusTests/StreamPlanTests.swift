import CloudEvents
import EventBus
import JetStream
import Testing

@Suite struct StreamPlanTests {
    private func plan(_ change: (inout StreamPlan.Limits) -> Void = { _ in }) throws -> StreamPlan {
        var limits = StreamPlan.Limits()
        change(&limits)
        return StreamPlan(
            events: try #require(StreamName("EVENTS")),
            deadLetters: try #require(StreamName("DEAD")),
            prefix: try #require(SubjectPrefix("ce")),
            limits: limits
        )
    }

    @Test func `events are kept by limits, in files, and a full stream refuses`() throws {
        let events = try plan().events
        #expect(events.subjects == ["ce.>"])
        #expect(events.retention == .limits)
        #expect(events.storage == .file)
        #expect(events.discard == .new)
        #expect(events.maxAge == .seconds(604_800))
        #expect(events.duplicateWindow == .seconds(120))
    }

    @Test func `the window is never longer than the age limit, which JetStream would refuse`() throws {
        #expect(try plan { $0.ageMaxSeconds = 60 }.events.duplicateWindow == .seconds(60))
        #expect(try plan { $0.ageMaxSeconds = 0 }.events.duplicateWindow == .seconds(120))
    }

    @Test func `the canary lives in memory and keeps one message for each replica`() throws {
        let canary = try plan().canary
        #expect(canary.storage == .memory)
        #expect(canary.maxMessagesPerSubject == 1)
    }

    @Test func `dead letters are never discarded for new ones`() throws {
        #expect(try plan { $0.discardsOldest = true }.deadLetters.discard == .new)
        #expect(try plan { $0.discardsOldest = true }.events.discard == .old)
    }
}

@Suite struct OutcomeTests {
    private let stream = StreamName("EVENTS")

    private func label(_ outcome: PublishOutcome) throws -> String {
        switch outcome.receipt(stream: try #require(stream)) {
        case .success(let receipt): receipt.isDuplicate ? "duplicate" : "stored"
        case .failure(let error): error.label
        }
    }

    @Test func `only a PubAck is a success`() throws {
        #expect(try label(.stored(sequence: 1, duplicate: false)) == "stored")
        #expect(try label(.stored(sequence: 1, duplicate: true)) == "duplicate")
    }

    @Test(arguments: [NotSentReason.disconnected, .overloaded, .expired, .closing])
    func `what never left is certainly not stored`(reason: NotSentReason) throws {
        #expect(try label(.notSent(reason)) == "broker-unavailable")
    }

    @Test(arguments: [
        UnknownReason.timeout, .connectionLost, .wrongStream, .sequenceZero, .badAcknowledgement, .duplicateInProcess,
    ])
    func `what left without a valid PubAck is unknown`(reason: UnknownReason) throws {
        #expect(try label(.unknown(reason)) == "outcome-unknown")
    }

    @Test(arguments: [
        (Rejection.Kind.storeFull, "store-full"), (.tooLarge, "too-large"), (.headersTooLarge, "header-too-large"),
        (.noResponders, "broker-unavailable"),
        (.unavailable, "broker-unavailable"), (.misconfigured, "misconfigured"),
    ])
    func `a rejection keeps its kind`(kind: Rejection.Kind, expected: String) throws {
        #expect(try label(.rejected(Rejection(kind: kind, code: 10077, description: "why"))) == expected)
    }
}
