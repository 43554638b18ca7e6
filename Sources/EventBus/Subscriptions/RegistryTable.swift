/// The registry's copy of all subscriptions, brought up to date by the watch and by this replica's own changes.
///
/// Own changes show at once; everybody is told of them, as of those of others, in the watch's order.
struct RegistryTable: Sendable {
    /// A change to be told; both sides are `nil` where there is nothing to tell.
    struct Change: Sendable {
        let old: SubscriptionRecord?
        let new: SubscriptionRecord?
    }

    private struct Slot {
        /// The newest record; `nil` if it was deleted.
        var record: SubscriptionRecord?
        /// The newest revision known.
        var revision: UInt64
        /// What was told last.
        var told: SubscriptionRecord?
    }

    private var slots: [SubscriptionKey: Slot] = [:]
    /// Which are being stored just now.
    private var places: Set<SubscriptionKey> = []
    /// Whether everything that was stored has been seen.
    var isCurrent = false
    /// What keeps changes, or everything, from being seen now.
    var trouble: BucketTrouble?

    subscript(key: SubscriptionKey) -> SubscriptionRecord? { slots[key]?.record }

    /// All records, in no order.
    var all: [SubscriptionRecord] { slots.values.compactMap(\.record) }

    /// How many a tenant has.
    func count(of tenant: TenantName) -> Int {
        slots.count { $0.key.tenant == tenant && $0.value.record != nil }
    }

    /// Keeps a place for one more of its tenant, to be given back when it is stored or is not going to be; false if the
    /// tenant has as many as it may have.
    mutating func takePlace(of key: SubscriptionKey, max: Int) -> Bool {
        // One that is stored already, and about to be told so, counts once.
        let coming = places.count { $0.tenant == key.tenant && slots[$0]?.record == nil }
        guard count(of: key.tenant) + coming < max else { return false }
        places.insert(key)
        return true
    }

    /// Gives back a place that was kept.
    mutating func givePlaceBack(of key: SubscriptionKey) { places.remove(key) }

    /// Takes an own change that was stored under this revision.
    mutating func apply(_ key: SubscriptionKey, _ record: SubscriptionRecord?, revision: UInt64) {
        guard slots[key].map({ revision > $0.revision }) ?? true else { return }
        slots[key, default: Slot(record: nil, revision: 0, told: nil)].record = record
        slots[key]?.revision = revision
    }

    /// Takes what the watch tells; returns what others are to be told, `nil` if nothing is different for them.
    mutating func take(_ key: SubscriptionKey, _ record: SubscriptionRecord?, revision: UInt64) -> Change? {
        var slot = slots[key] ?? Slot(record: nil, revision: 0, told: nil)
        let old = slot.told
        slot.told = record
        if revision >= slot.revision {
            slot.record = record
            slot.revision = revision
        }
        // The watch goes by revisions: what is deleted for it will not be told to be older.
        slots[key] = slot.record == nil && slot.told == nil ? nil : slot
        switch (old, record) {
        case (nil, nil): return nil
        case (let old?, let new?) where !new.differsInSubstance(from: old): return nil
        default: return Change(old: old, new: record)
        }
    }
}
