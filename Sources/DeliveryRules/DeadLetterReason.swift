/// Why an event was taken out of delivery; the raw value stands in the dead letter's header.
package enum DeadLetterReason: String, Sendable, CaseIterable {
    /// Every attempt failed.
    case retriesExhausted = "retries-exhausted"
    /// The receiver will never take it: a non-retriable answer, or `reject`.
    case rejected
    /// A native consumer terminated it.
    case terminated
    /// The server gave up after its own maximum of deliveries (native consumers).
    case maxDeliveries = "maxdeliveries"
    /// Its `expirytime` passed.
    case expired
    /// It cannot be decoded, or cannot be sent in the form the subscription asks for.
    case undeliverable
    /// Its data breaks the schema.
    case schema
    /// The endpoint answered 410.
    case gone
}
