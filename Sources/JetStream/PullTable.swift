/// The pull requests that are outstanding, and the consumers they ask.
///
/// A message of a pull consumer names neither the pull nor our inbox, only, in its acknowledgement subject, the consumer: it
/// counts for the consumer's oldest pull. Status messages name the pull by its token. Pure: time comes from outside.
struct PullTable {
    private struct Slot {
        var generation: UInt32 = 0
        var isActive = false
        var mailbox: LaneMailbox?
        var pull: LaneBatch.Pull?
        var tag: DeliveryLane.Tag = 0
        var consumer = 0
        var remaining = 0
        var delivered = 0
        var deadline = Nanoseconds.max
    }

    private struct Consumer {
        /// `<stream>.<consumer>`.
        var key: [UInt8]
        var hash: UInt64
        /// Slots of its pulls, the oldest first.
        var pulls: [Int] = []
        /// Whose pull was the last, for messages that come late.
        var mailbox: LaneMailbox
        var tag: DeliveryLane.Tag
        var used: Nanoseconds
        var nextOfHash: Int?
    }

    /// Where a message goes.
    struct Delivery {
        let mailbox: LaneMailbox
        let tag: DeliveryLane.Tag
        /// Whether it is the last of its pull.
        let isLast: Bool
    }

    /// The end of one pull, to be told without a lock held.
    struct End {
        let mailbox: LaneMailbox
        let tag: DeliveryLane.Tag
        let pull: LaneBatch.Pull
        /// How many messages it has brought.
        let delivered: Int
    }

    private var slots: [Slot] = []
    private var free: [Int] = []
    private var consumers: [Consumer?] = []
    private var freeConsumers: [Int] = []
    private var indexOfHash: [UInt64: Int] = [:]
    private var lastFound = 0
    private let countMax: Int
    private let seed: UInt64
    private var nextSweep: Nanoseconds = 0
    private(set) var earliestDeadline = Nanoseconds.max
    /// Counts the connections: what an earlier one still brings is late.
    private(set) var epoch: UInt64 = 0

    private static let sweepInterval: Nanoseconds = 10_000_000_000
    /// So long late messages of a consumer without pulls are handed over.
    static let lateMax: Nanoseconds = 120_000_000_000

    init(countMax: Int, seed: UInt64 = .random(in: 0 ... .max)) {
        self.countMax = min(max(countMax, 1), 1 << 20)
        self.seed = seed
    }

    var count: Int { slots.count - free.count }

    /// How many messages may still come for the pulls that are outstanding, those that end them included.
    var coming: Int { slots.reduce(0) { $1.isActive ? $0 + max($1.remaining, 0) + 1 : $0 } }

    /// The keys, `<stream>.<consumer>`, of all consumers that were asked in the last minutes.
    var consumerKeys: [[UInt8]] { consumers.compactMap { $0?.key } }

    /// Notes a pull that is about to be sent; nil when there are too many.
    mutating func insert(
        _ pull: LaneBatch.Pull,
        _ mailbox: LaneMailbox,
        deadline: Nanoseconds,
        now: Nanoseconds
    ) -> SlotTable.Token? {
        guard count < countMax else { return nil }
        let index: Int
        if let last = free.popLast() {
            index = last
        } else {
            index = slots.count
            slots.append(Slot())
        }
        let consumer = consumerIndex(Array("\(pull.stream.text).\(pull.consumer.text)".utf8), mailbox, pull.tag, now)
        consumers[consumer]?.pulls.append(index)
        slots[index].generation &+= 1
        slots[index].isActive = true
        slots[index].mailbox = mailbox
        slots[index].pull = pull
        slots[index].tag = pull.tag
        slots[index].consumer = consumer
        slots[index].remaining = pull.count
        slots[index].delivered = 0
        slots[index].deadline = deadline
        earliestDeadline = min(earliestDeadline, deadline)
        return SlotTable.Token(slot: index, generation: slots[index].generation)
    }

    /// Finds out where a message goes, and counts it; nil for a consumer that was never asked.
    mutating func take(consumer key: UnsafeRawBufferPointer, epoch: UInt64) -> Delivery? {
        guard let index = find(key), let consumer = consumers[index] else { return nil }
        guard epoch == self.epoch, let slot = consumer.pulls.first, let mailbox = slots[slot].mailbox else {
            return Delivery(mailbox: consumer.mailbox, tag: consumer.tag, isLast: false)
        }
        slots[slot].remaining -= 1
        slots[slot].delivered += 1
        let delivery = Delivery(mailbox: mailbox, tag: slots[slot].tag, isLast: slots[slot].remaining <= 0)
        if delivery.isLast { release(slot) }
        return delivery
    }

    /// Ends the pull that a status message names.
    ///
    /// - Parameter undelivered: How many of its messages the server has not delivered, if it says so. If messages of a later
    ///   pull of the consumer were counted for this one, the later one has so many less to wait for.
    /// - Returns: Nil if it has ended already.
    mutating func end(_ token: SlotTable.Token, undelivered: Int) -> End? {
        guard slots.indices.contains(token.slot), slots[token.slot].generation == token.generation else { return nil }
        if slots[token.slot].isActive { return release(token.slot) }
        guard undelivered > 0, let later = consumers[slots[token.slot].consumer]?.pulls.first else { return nil }
        slots[later].remaining -= undelivered
        return slots[later].remaining <= 0 ? release(later) : nil
    }

    /// Ends the pull with this tag, if it is outstanding.
    mutating func cancel(_ tag: DeliveryLane.Tag, of mailbox: LaneMailbox) -> Bool {
        for index in slots.indices where slots[index].isActive && slots[index].tag == tag {
            guard slots[index].mailbox === mailbox else { continue }
            release(index)
            return true
        }
        return false
    }

    /// Takes out a pull that could not be sent.
    mutating func remove(_ token: SlotTable.Token) -> End? { end(token, undelivered: 0) }

    /// Ends what is past its deadline.
    mutating func removeExpired(now: Nanoseconds) -> [End] {
        if now >= nextSweep { sweep(now) }
        return now >= earliestDeadline ? removeAll { $0 <= now } : []
    }

    /// Ends all pulls, with the connection they were sent on.
    mutating func removeAll() -> [End] {
        epoch &+= 1
        return removeAll { _ in true }
    }

    private mutating func removeAll(where isDue: (Nanoseconds) -> Bool) -> [End] {
        var ends: [End] = []
        earliestDeadline = .max
        for index in slots.indices where slots[index].isActive {
            if isDue(slots[index].deadline) {
                if let end = release(index) { ends.append(end) }
            } else {
                earliestDeadline = min(earliestDeadline, slots[index].deadline)
            }
        }
        return ends
    }

    @discardableResult
    private mutating func release(_ index: Int) -> End? {
        let slot = slots[index]
        slots[index].isActive = false
        slots[index].mailbox = nil
        slots[index].pull = nil
        free.append(index)
        consumers[slot.consumer]?.pulls.removeAll { $0 == index }
        guard let mailbox = slot.mailbox, let pull = slot.pull else { return nil }
        return End(mailbox: mailbox, tag: slot.tag, pull: pull, delivered: slot.delivered)
    }

    // MARK: Consumers

    private func hash(_ key: UnsafeRawBufferPointer) -> UInt64 {
        var value = seed ^ 0xCBF2_9CE4_8422_2325
        for byte in key { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return value ^ value >> 29
    }

    private func isKey(_ index: Int, _ key: UnsafeRawBufferPointer) -> Bool {
        guard let consumer = consumers[index], consumer.key.count == key.count else { return false }
        return consumer.key.withUnsafeBytes { $0.elementsEqual(key) }
    }

    private mutating func find(_ key: UnsafeRawBufferPointer) -> Int? {
        if consumers.indices.contains(lastFound), isKey(lastFound, key) { return lastFound }
        var next = indexOfHash[hash(key)]
        while let index = next {
            if isKey(index, key) {
                lastFound = index
                return index
            }
            next = consumers[index]?.nextOfHash
        }
        return nil
    }

    private mutating func consumerIndex(
        _ key: [UInt8],
        _ mailbox: LaneMailbox,
        _ tag: DeliveryLane.Tag,
        _ now: Nanoseconds
    ) -> Int {
        let (found, hash) = key.withUnsafeBytes { (find($0), self.hash($0)) }
        if let found {
            consumers[found]?.mailbox = mailbox
            consumers[found]?.tag = tag
            consumers[found]?.used = now
            return found
        }
        let consumer = Consumer(
            key: key,
            hash: hash,
            mailbox: mailbox,
            tag: tag,
            used: now,
            nextOfHash: indexOfHash[hash]
        )
        let index: Int
        if let last = freeConsumers.popLast() {
            index = last
            consumers[index] = consumer
        } else {
            index = consumers.count
            consumers.append(consumer)
        }
        indexOfHash[hash] = index
        return index
    }

    /// Forgets the consumers that were not asked for long.
    private mutating func sweep(_ now: Nanoseconds) {
        nextSweep = now + Self.sweepInterval
        for index in consumers.indices {
            guard let consumer = consumers[index], consumer.pulls.isEmpty, now - consumer.used > Self.lateMax else {
                continue
            }
            unlink(index, consumer)
            consumers[index] = nil
            freeConsumers.append(index)
        }
    }

    private mutating func unlink(_ index: Int, _ consumer: Consumer) {
        guard let first = indexOfHash[consumer.hash] else { return }
        if first == index {
            indexOfHash[consumer.hash] = consumer.nextOfHash
            return
        }
        var previous = first
        while let next = consumers[previous]?.nextOfHash {
            if next == index {
                consumers[previous]?.nextOfHash = consumer.nextOfHash
                return
            }
            previous = next
        }
    }
}
