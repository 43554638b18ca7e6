/// What waits to be written to Redis, united by tenant and bounded.
///
/// Pure: no clock, no lock, no I/O.
package struct Ledger: Sendable {
    /// Sums since the last write.
    struct Totals: Sendable {
        var accepted: UInt64 = 0
        var duplicates: UInt64 = 0
        var bytes: UInt64 = 0
        var rejected = RejectCounts()
        var types: [Name: UInt64] = [:]
        var otherTypes: UInt64 = 0
        /// Unix milliseconds of the last accepted event, 0 for none.
        var lastTime: Int64 = 0
        var deliveries = DeliveryCounts()

        var events: UInt64 { accepted.adding(rejected.total) }
    }

    /// Sums of one minute.
    struct Minute: Sendable {
        var accepted: UInt64 = 0
        var duplicates: UInt64 = 0
        var bytes: UInt64 = 0
        var rejected: UInt64 = 0

        var events: UInt64 { accepted.adding(rejected) }
    }

    private struct Entry: Sendable {
        let tenant: Name
        var totals: Totals?
        /// By Unix time in minutes.
        var minutes: [Int64: Minute] = [:]
    }

    private let bounds: TenantBounds
    private var entries: [Entry] = []
    private var places: [Name: Int] = [:]

    /// Tenants that wait.
    package var tenantCount: Int { entries.count }
    /// Types that wait, over all tenants.
    package private(set) var typeCount = 0
    /// Pairs of a tenant and a minute that wait.
    package private(set) var minuteCount = 0
    /// Events in the waiting totals.
    package private(set) var events: UInt64 = 0
    /// Events in the waiting minutes.
    package private(set) var seriesEvents: UInt64 = 0
    /// Events that are in no totals, since there was no room.
    package private(set) var droppedEvents: UInt64 = 0
    /// Events that are in no minute, since there was no room.
    package private(set) var droppedSeriesEvents: UInt64 = 0
    /// Events folded, kept or not.
    package private(set) var foldedEvents: UInt64 = 0
    /// Counts of deliveries in the waiting totals.
    package private(set) var deliveries: UInt64 = 0
    /// Counts of deliveries that are in no totals, since there was no room.
    package private(set) var droppedDeliveries: UInt64 = 0
    /// Counts of deliveries folded, kept or not.
    package private(set) var foldedDeliveries: UInt64 = 0

    package init(bounds: TenantBounds) { self.bounds = bounds }

    package var isEmpty: Bool { entries.isEmpty }

    /// Adds what happened until a time.
    package mutating func fold(_ delta: TenantDelta, at unixSeconds: Int64) {
        let time = WallClock.bounded(unixSeconds)
        foldedEvents.add(delta.events)
        foldedDeliveries.add(delta.deliveries)
        droppedDeliveries.add(delta.droppedDeliveries)
        droppedEvents.add(delta.dropped)
        droppedSeriesEvents.add(delta.dropped)
        for counts in delta.tenants {
            let tenant = Name(counts.tenant)
            guard let place = place(of: tenant) else {
                droppedEvents.add(counts.events)
                droppedSeriesEvents.add(counts.events)
                droppedDeliveries.add(counts.deliveries.total)
                continue
            }
            events.add(counts.events)
            deliveries.add(counts.deliveries.total)
            // Taken out, so that its dictionaries have one owner and are not copied.
            var entry = Entry(tenant: tenant)
            swap(&entry, &entries[place])
            addTotals(counts, at: time, to: &entry)
            if counts.events > 0 { addMinute(counts, at: time, to: &entry) }
            entries[place] = entry
        }
    }

    private mutating func place(of tenant: Name) -> Int? {
        if let place = places[tenant] { return place }
        guard entries.count < bounds.tenants else { return nil }
        places[tenant] = entries.count
        entries.append(Entry(tenant: tenant))
        return entries.count - 1
    }

    private mutating func addTotals(_ counts: TenantDelta.Counts, at time: Int64, to entry: inout Entry) {
        var sum = entry.totals ?? Totals()
        entry.totals = nil
        sum.accepted.add(counts.accepted)
        sum.duplicates.add(counts.duplicates)
        sum.bytes.add(counts.bytes)
        sum.rejected.add(counts.rejected)
        sum.otherTypes.add(counts.otherTypes)
        sum.deliveries.add(counts.deliveries)
        if counts.accepted > 0 { sum.lastTime = max(sum.lastTime, time * 1000) }
        for type in counts.types {
            let name = Name(type.type)
            if let known = sum.types[name] {
                sum.types[name] = known.adding(type.count)
            } else if sum.types.count < bounds.typesPerTenant, typeCount < bounds.types {
                sum.types[name] = type.count
                typeCount += 1
            } else {
                sum.otherTypes.add(type.count)
            }
        }
        entry.totals = sum
    }

    private mutating func addMinute(_ counts: TenantDelta.Counts, at time: Int64, to entry: inout Entry) {
        let number = time / 60
        var minute: Minute
        if let known = entry.minutes[number] {
            minute = known
        } else {
            guard minuteCount < bounds.minutes else { return droppedSeriesEvents.add(counts.events) }
            minute = Minute()
            minuteCount += 1
        }
        seriesEvents.add(counts.events)
        minute.accepted.add(counts.accepted)
        minute.duplicates.add(counts.duplicates)
        minute.bytes.add(counts.bytes)
        minute.rejected.add(counts.rejected.total)
        entry.minutes[number] = minute
    }

    /// Moves as much as one chunk holds out of the ledger; `nil` when nothing waits.
    package mutating func takeChunk(number: UInt64, flushKey: [UInt8], keys: MetricKeys) -> FlushChunk? {
        var builder = FlushChunk.Builder(number: number, flushKey: flushKey, keys: keys, bounds: bounds)
        while builder.hasRoom, var entry = entries.popLast() {
            places[entry.tenant] = nil
            builder.begin(entry.tenant.text)
            if let totals = entry.totals {
                builder.add(totals)
                typeCount -= totals.types.count
                events -= min(totals.events, events)
                deliveries -= min(totals.deliveries.total, deliveries)
                entry.totals = nil
            }
            for (hour, minutes) in Dictionary(grouping: entry.minutes, by: { $0.key / 60 }) where builder.hasRoom {
                builder.add(minutes.map { (Int($0.key % 60), $0.value) }, hour: hour)
                for (number, minute) in minutes {
                    entry.minutes[number] = nil
                    minuteCount -= 1
                    seriesEvents -= min(minute.events, seriesEvents)
                }
            }
            builder.end()
            if !entry.minutes.isEmpty {
                places[entry.tenant] = entries.count
                entries.append(entry)
            }
        }
        return builder.chunk
    }
}
