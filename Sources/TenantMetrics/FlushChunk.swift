/// A part of the ledger as the arguments of ``FlushScript``, with a number by which the script knows it again.
///
/// It is sent unchanged until Redis has answered for it.
package struct FlushChunk: Sendable {
    /// Tenants in a chunk, at most.
    package static let tenantsMax = 100
    /// Arguments after which a chunk takes nothing more; the last tenant's types or hour may exceed it by some hundreds.
    package static let argumentsMax = 4000
    /// Bytes of arguments after which a chunk takes nothing more.
    package static let bytesMax = 128 << 10

    package let number: UInt64
    package fileprivate(set) var keys: [[UInt8]]
    package fileprivate(set) var arguments: [[UInt8]]
    package fileprivate(set) var tenantCount = 0
    /// Events in its totals.
    package fileprivate(set) var events: UInt64 = 0
    /// Events in its series.
    package fileprivate(set) var seriesEvents: UInt64 = 0
    /// Counts of deliveries.
    package fileprivate(set) var deliveries: UInt64 = 0
    /// Pairs of a tenant and a minute.
    package fileprivate(set) var minuteCount = 0
    /// Types, over all its tenants.
    package fileprivate(set) var typeCount = 0

    /// Writes the arguments.
    struct Builder {
        private static let entryCountIndex = 5
        private let names: MetricKeys
        private var building: FlushChunk
        private var byteCount = 0
        private var tenant = ""
        private var hasTotals = false
        private var hourCountIndex = 0
        private var hourCount = 0

        init(number: UInt64, flushKey: [UInt8], keys: MetricKeys, bounds: TenantBounds) {
            names = keys
            building = FlushChunk(number: number, keys: [flushKey, keys.tenants], arguments: [])
            add(number)
            add(UInt64(MetricKeys.flushLifetime))
            add(UInt64(MetricKeys.seriesLifetime))
            add(UInt64(max(bounds.storedTenants, 0)))
            add(UInt64(max(bounds.storedTypesPerTenant, 1)))
            add(0 as UInt64)
        }

        var hasRoom: Bool {
            building.tenantCount < tenantsMax && building.arguments.count < argumentsMax && byteCount < bytesMax
        }

        var chunk: FlushChunk? { building.tenantCount > 0 ? building : nil }

        /// Starts a tenant; its totals may follow, then any number of hours, then `end`.
        mutating func begin(_ tenant: String) {
            self.tenant = tenant
            (hasTotals, hourCount) = (false, 0)
            building.tenantCount += 1
            building.keys += [names.totals(tenant), names.types(tenant)]
            add(Array(tenant.utf8))
        }

        mutating func add(_ totals: Ledger.Totals) {
            hasTotals = true
            building.events.add(totals.events)
            building.deliveries.add(totals.deliveries.total)
            building.typeCount += totals.types.count
            add("1")
            add(totals.accepted)
            add(totals.rejected.total)
            add(UInt64(max(totals.lastTime, 0)))
            add(totals.duplicates)
            add(totals.bytes)
            add(totals.otherTypes)
            let rejected = totals.rejected.nonzero
            add(UInt64(rejected.count))
            for (reason, count) in rejected {
                add("rejected:\(reason.rawValue)")
                add(count)
            }
            add(UInt64(totals.types.count))
            for (name, count) in totals.types {
                add(name.bytes)
                add(count)
            }
            let deliveries = totals.deliveries.nonzero
            add(UInt64(deliveries.count))
            for (field, count) in deliveries {
                add(field.rawValue)
                add(count)
            }
            beginHours()
        }

        mutating func add(_ minutes: [(number: Int, counts: Ledger.Minute)], hour: Int64) {
            if !hasTotals, hourCount == 0 {
                add("0")
                beginHours()
            }
            hourCount += 1
            building.keys.append(names.series(tenant, hour: hour))
            building.minuteCount += minutes.count
            let countIndex = building.arguments.count
            add(0 as UInt64)
            var fieldCount = 0
            for (number, counts) in minutes {
                building.seriesEvents.add(counts.events)
                for field in SeriesField.allCases where counts[field] > 0 {
                    fieldCount += 1
                    add("\(number):\(Character(Unicode.Scalar(field.rawValue)))")
                    add(field.countsEvents ? "1" : "0")
                    add(counts[field])
                }
            }
            building.arguments[countIndex] = Array(String(fieldCount).utf8)
        }

        mutating func end() {
            if !hasTotals, hourCount == 0 {
                add("0")
                beginHours()
            }
            building.arguments[hourCountIndex] = Array(String(hourCount).utf8)
            building.arguments[Self.entryCountIndex] = Array(String(building.tenantCount).utf8)
        }

        private mutating func beginHours() {
            hourCountIndex = building.arguments.count
            add(0 as UInt64)
        }

        private mutating func add(_ bytes: [UInt8]) {
            byteCount += bytes.count
            building.arguments.append(bytes)
        }

        private mutating func add(_ text: String) { add(Array(text.utf8)) }

        /// At most what Redis can hold.
        private mutating func add(_ count: UInt64) { add(String(min(count, UInt64(Int64.max)))) }
    }
}

extension Ledger.Minute {
    fileprivate subscript(_ field: SeriesField) -> UInt64 {
        switch field {
        case .accepted: accepted
        case .duplicates: duplicates
        case .bytes: bytes
        case .rejected: rejected
        }
    }
}
