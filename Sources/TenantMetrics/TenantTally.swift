/// Counts what tenants do, for one event loop: no lock, used by one thread.
///
/// Repeated tenants and types are found by comparing names, without hashing. Memory is bounded by ``TenantBounds``.
public final class TenantTally {
    private let bounds: TenantBounds
    private var entries: [Entry] = []
    private var entryOfTenant: [Name: Entry] = [:]
    private var lastEntry: Entry?
    private var typeCount = 0
    private var dropped: UInt64 = 0
    private var droppedDeliveries: UInt64 = 0

    /// A tally of nothing.
    public init(bounds: TenantBounds = .init()) {
        self.bounds = bounds
    }

    /// Counts an event that was answered 202.
    ///
    /// - Parameters:
    ///   - bytes: The stored payload's length; not counted for a duplicate, which stores nothing.
    ///   - duplicate: Whether it had been stored before.
    public func accepted(tenant: String, type: String, bytes: Int, duplicate: Bool) {
        guard let entry = entry(of: tenant) else { return dropped.add(1) }
        entry.accepted.add(1)
        if duplicate {
            entry.duplicates.add(1)
        } else {
            entry.bytes.add(UInt64(max(bytes, 0)))
        }
        if entry.lastType.isSame(as: type), entry.lastSlot >= 0 {
            entry.lastCount.add(1)
        } else {
            countType(type, of: entry)
        }
    }

    /// Counts events that were not accepted.
    public func rejected(tenant: String, reason: RejectReason, count: Int = 1) {
        guard count > 0 else { return }
        guard let entry = entry(of: tenant) else { return dropped.add(UInt64(count)) }
        entry.rejected.add(UInt64(count), for: reason)
    }

    /// Counts what became of deliveries.
    public func delivered(tenant: String, _ counts: DeliveryCounts) {
        guard counts.total > 0 else { return }
        guard let entry = entry(of: tenant) else { return droppedDeliveries.add(counts.total) }
        entry.deliveries.add(counts)
    }

    /// Takes what was counted since the last call, or `nil` when that is nothing.
    public func take() -> TenantDelta? {
        guard !entries.isEmpty || dropped > 0 || droppedDeliveries > 0 else { return nil }
        let delta = TenantDelta(
            tenants: entries.map { $0.takeCounts() },
            dropped: dropped,
            droppedDeliveries: droppedDeliveries
        )
        entries.removeAll(keepingCapacity: true)
        entryOfTenant.removeAll(keepingCapacity: true)
        lastEntry = nil
        (typeCount, dropped, droppedDeliveries) = (0, 0, 0)
        return delta
    }

    /// The counts of a tenant, or `nil` where there is no room for it.
    @inline(__always)
    private func entry(of tenant: String) -> Entry? {
        if let lastEntry, lastEntry.tenant.isSame(as: tenant) { return lastEntry }
        return findEntry(of: tenant)
    }

    private func findEntry(of tenant: String) -> Entry? {
        let name = Name(tenant)
        if let known = entryOfTenant[name] {
            lastEntry = known
            return known
        }
        let length = tenant.utf8.count
        guard entries.count < bounds.tenants, length > 0, length <= TenantBounds.tenantBytes else { return nil }
        let entry = Entry(name)
        entries.append(entry)
        entryOfTenant[name] = entry
        lastEntry = entry
        return entry
    }

    private func countType(_ type: String, of entry: Entry) {
        let name = Name(type)
        if let slot = entry.slots[name] { return entry.count(name, slot) }
        let hasRoom = entry.types.count < bounds.typesPerTenant && typeCount < bounds.types
        guard hasRoom, type.utf8.count <= bounds.typeBytes else { return entry.otherTypes.add(1) }
        typeCount += 1
        entry.slots[name] = entry.types.count
        entry.types.append(TenantDelta.TypeCount(type: type, count: 0))
        entry.count(name, entry.types.count - 1)
    }

    /// The counts of one tenant; those of its last type are beside the others.
    private final class Entry {
        let tenant: Name
        var accepted: UInt64 = 0
        var duplicates: UInt64 = 0
        var bytes: UInt64 = 0
        var otherTypes: UInt64 = 0
        var rejected = RejectCounts()
        var deliveries = DeliveryCounts()
        var types: [TenantDelta.TypeCount] = []
        var slots: [Name: Int] = [:]
        var lastType = Name("")
        var lastSlot = -1
        var lastCount: UInt64 = 0

        init(_ tenant: Name) { self.tenant = tenant }

        /// Counts an event of another type than the last.
        func count(_ type: Name, _ slot: Int) {
            if lastSlot >= 0 { types[lastSlot].count.add(lastCount) }
            (lastType, lastSlot, lastCount) = (type, slot, 1)
        }

        func takeCounts() -> TenantDelta.Counts {
            if lastSlot >= 0 { types[lastSlot].count.add(lastCount) }
            lastSlot = -1
            return TenantDelta.Counts(
                tenant: tenant.text,
                accepted: accepted,
                duplicates: duplicates,
                bytes: bytes,
                rejected: rejected,
                types: types,
                otherTypes: otherTypes,
                deliveries: deliveries
            )
        }
    }
}
