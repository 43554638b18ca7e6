import CNATS

/// Messages that are done with, destroyed many at a time.
///
/// cnats frees a message on a collector thread that it wakes for each: two context switches per message, if they come one
/// by one. Few and small ones wait here for company. Used by one thread.
struct MessageBin: ~Copyable {
    private var messages: [OpaquePointer] = []
    private var cost = 0

    private static let countMax = 64
    private static let costMax = 256 << 10

    init() { messages.reserveCapacity(Self.countMax) }

    deinit {
        for message in messages { natsMsg_Destroy(message) }
    }

    /// Takes a message over; `cost` is about its size in bytes.
    mutating func add(_ message: OpaquePointer, cost: Int) {
        messages.append(message)
        self.cost += cost
        guard messages.count >= Self.countMax || self.cost >= Self.costMax else { return }
        for message in messages { natsMsg_Destroy(message) }
        messages.removeAll(keepingCapacity: true)
        self.cost = 0
    }
}
