package import CloudEvents
package import DeliveryRules
package import JetStream

/// One event on its way to a receiver.
package struct Delivery: Sendable {
    /// The event.
    package let event: CloudEvent
    /// The event's JSON as it is stored, nil if it was stored in binary mode.
    package let text: ArraySlice<UInt8>?
    /// Its sequence in the stream.
    package let sequence: UInt64
    /// The number of the attempt, counted from 1.
    package let attempt: Int
    /// The message that brought it; its headers are outside data (C-13).
    package let message: DeliveredMessage
    /// The subscription's consumer.
    let consumer: ConsumerName

    /// What makes it different from every other delivery of the same event to somebody else, the same in every attempt:
    /// characters of `A-Za-z0-9_-`.
    package var deliveryID: String { "\(consumer.text)_\(sequence)" }

    /// Appends the event in CloudEvents JSON; as it is stored, where that is JSON.
    package func appendJSON(to output: inout [UInt8]) {
        if let text { output += text } else { JSONFormat.encode(event, into: &output) }
    }
}

/// What came of one attempt.
package struct AttemptReport: Sendable {
    /// What it means for the event.
    package let result: AttemptResult
    /// Why it failed, in words without secrets; nil if it did not.
    package let error: String?

    package init(_ result: AttemptResult, error: String? = nil) {
        self.result = result
        self.error = error
    }
}

/// Takes events to one subscription's receiver.
///
/// Made, used and closed on one ``DeliveryLoop``.
package protocol DeliverySink: AnyObject {
    /// Starts one attempt; `done` is called exactly once, on the loop, whatever happens, also after ``close()``.
    func deliver(_ delivery: Delivery, done: @escaping (AttemptReport) -> Void)
    /// Starts one attempt with several events, which succeed or fail together;
    /// `done` as for one.
    func deliver(batch: [Delivery], done: @escaping (AttemptReport) -> Void)
    /// Starts nothing more; attempts under way may end.
    func close()
}

/// Makes the sinks of subscriptions.
package protocol DeliverySinkFactory: Sendable {
    /// A sink for what a plan says, called on the loop that will use it.
    func makeSink(for plan: DeliveryPlan, on loop: any DeliveryLoop) -> any DeliverySink
}
