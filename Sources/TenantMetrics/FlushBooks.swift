/// The ledger, the one chunk that is on its way, and what became of the others.
///
/// Pure: time is passed in.
package struct FlushBooks: Sendable {
    /// What became of an attempt.
    package enum Outcome: Sendable, Equatable {
        /// The chunk is in Redis, now or since an earlier attempt.
        case applied(
            droppedEvents: UInt64,
            droppedSeriesEvents: UInt64,
            failedWrites: UInt64,
            droppedDeliveries: UInt64
        )
        /// It is not, or nobody knows.
        case failed(String)
    }

    private static let backoffMin = Duration.milliseconds(200)
    private static let backoffMax = Duration.seconds(2)
    private static let dropLogInterval = Duration.seconds(60)

    package var ledger: Ledger
    private let keys: MetricKeys
    private let flushKey: [UInt8]
    private var counts = TenantMetricsStatus()
    private var lastNumber: UInt64 = 0
    private var inFlight: FlushChunk?
    private var isSending = false
    private var attempts: UInt64 = 0
    private var failuresInRow: UInt64 = 0
    private var notBefore: ContinuousClock.Instant?
    private var toldDropped: (events: UInt64, seriesEvents: UInt64, time: ContinuousClock.Instant?) = (0, 0, nil)

    package init(bounds: TenantBounds, keys: MetricKeys, flushKey: [UInt8]) {
        ledger = Ledger(bounds: bounds)
        self.keys = keys
        self.flushKey = flushKey
    }

    /// Whether all is written.
    package var isDone: Bool { ledger.isEmpty && inFlight == nil }

    /// The chunk to send next, for one caller at a time, which then tells the outcome by `settle`; `nil` when there is
    /// nothing to do now.
    ///
    /// A chunk without a known outcome comes again, unchanged, before anything newer.
    package mutating func claim(now: ContinuousClock.Instant) -> FlushChunk? {
        guard !isSending else { return nil }
        if let notBefore, now < notBefore { return nil }
        if inFlight == nil {
            inFlight = ledger.takeChunk(number: lastNumber + 1, flushKey: flushKey, keys: keys)
            lastNumber += inFlight == nil ? 0 : 1
            attempts = 0
        }
        guard let chunk = inFlight else { return nil }
        if attempts > 0 { counts.retries += 1 }
        attempts += 1
        isSending = true
        return chunk
    }

    /// Takes the outcome of the claimed chunk, and tells what to log.
    package mutating func settle(_ outcome: Outcome, now: ContinuousClock.Instant) -> [TenantMetricsEvent] {
        isSending = false
        guard let chunk = inFlight else { return [] }
        switch outcome {
        case .failed(let reason):
            counts.failures += 1
            counts.lastFailure = reason
            failuresInRow += 1
            notBefore = now + pause()
            return (failuresInRow == 1 ? [.waiting(reason: reason)] : []) + dropEvents(now)
        case .applied(let events, let seriesEvents, let writes, let deliveries):
            inFlight = nil
            notBefore = nil
            counts.flushes += 1
            counts.lastSuccess = now
            counts.lastFailure = nil
            counts.failedWrites.add(writes)
            counts.droppedEvents.add(min(events, chunk.events))
            counts.recordedEvents.add(chunk.events - min(events, chunk.events))
            counts.droppedSeriesEvents.add(min(seriesEvents, chunk.seriesEvents))
            counts.recordedSeriesEvents.add(chunk.seriesEvents - min(seriesEvents, chunk.seriesEvents))
            counts.droppedDeliveries.add(min(deliveries, chunk.deliveries))
            counts.recordedDeliveries.add(chunk.deliveries - min(deliveries, chunk.deliveries))
            defer { failuresInRow = 0 }
            return (failuresInRow > 0 ? [.resumed(failedAttempts: failuresInRow)] : []) + dropEvents(now)
        }
    }

    /// Lets the next attempt happen at once, for the last flush.
    package mutating func endPause() { notBefore = nil }

    /// 200 ms, doubled for each failure up to 2 s, with jitter.
    private func pause() -> Duration {
        let doubled = Self.backoffMin * (1 << Int(min(failuresInRow - 1, 8)))
        return min(doubled, Self.backoffMax) * Double.random(in: 0.75...1.25)
    }

    private mutating func dropEvents(_ now: ContinuousClock.Instant) -> [TenantMetricsEvent] {
        let status = status
        let events = status.droppedEvents - toldDropped.events
        let seriesEvents = status.droppedSeriesEvents - toldDropped.seriesEvents
        guard events > 0 || seriesEvents > 0 else { return [] }
        if let time = toldDropped.time, now < time + Self.dropLogInterval { return [] }
        toldDropped = (status.droppedEvents, status.droppedSeriesEvents, now)
        return [.dropped(events: events, seriesEvents: seriesEvents)]
    }

    package var status: TenantMetricsStatus {
        var status = counts
        status.pendingTenants = ledger.tenantCount + (inFlight?.tenantCount ?? 0)
        status.pendingTypes = ledger.typeCount + (inFlight?.typeCount ?? 0)
        status.pendingMinutes = ledger.minuteCount + (inFlight?.minuteCount ?? 0)
        status.pendingEvents = ledger.events.adding(inFlight?.events ?? 0)
        status.pendingSeriesEvents = ledger.seriesEvents.adding(inFlight?.seriesEvents ?? 0)
        status.foldedEvents = ledger.foldedEvents
        status.droppedEvents.add(ledger.droppedEvents)
        status.droppedSeriesEvents.add(ledger.droppedSeriesEvents)
        status.pendingDeliveries = ledger.deliveries.adding(inFlight?.deliveries ?? 0)
        status.foldedDeliveries = ledger.foldedDeliveries
        status.droppedDeliveries.add(ledger.droppedDeliveries)
        return status
    }
}
