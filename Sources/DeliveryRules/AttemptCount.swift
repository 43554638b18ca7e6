/// Which attempt a delivery is for: the server counts deliveries, and those that had no attempt are subtracted.
struct AttemptCount: Sendable {
    /// The number of the attempt that runs or is next.
    private(set) var number: Int
    /// The server's count at the latest delivery.
    private(set) var deliveries: Int
    /// How many of these deliveries had no attempt.
    private(set) var unattempted: Int
    /// How many of those the driver has on record.
    private var recorded: Int

    init(_ arrival: Arrival) {
        deliveries = arrival.deliveries
        unattempted = min(arrival.unattempted, arrival.deliveries - 1)
        recorded = arrival.unattempted
        number = deliveries - unattempted
    }

    /// What has to be recorded before the event is given back; nil is nothing.
    var unrecorded: Int? { unattempted == recorded ? nil : unattempted }

    /// The latest delivery ends without an attempt.
    mutating func skip() { unattempted += 1 }

    /// The server delivered again what is in hand: that delivery has no attempt of its own.
    ///
    /// Deliveries in between, that went elsewhere, count as attempts unless they are recorded.
    mutating func absorb(_ arrival: Arrival) {
        recorded = arrival.unattempted
        deliveries = arrival.deliveries
        unattempted = min(max(unattempted, arrival.unattempted) + 1, deliveries - 1)
        number = max(number, deliveries - unattempted)
    }

    /// The server delivered again what was released, at its time: a delivery like any other.
    mutating func renew(_ arrival: Arrival) {
        recorded = arrival.unattempted
        deliveries = arrival.deliveries
        unattempted = min(max(unattempted, arrival.unattempted), deliveries - 1)
        number = deliveries - unattempted
    }
}
