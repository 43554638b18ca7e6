import CNATS

/// Messages that cnats has no more use for, destroyed in bulk.
///
/// cnats hands every destroyed message to a collector thread of its own and wakes that thread if it sleeps: one wake-up
/// for each message unless many come together. Not safe for concurrent use: one for each thread that destroys.
struct SpentMessages {
    private var messages: [OpaquePointer] = []
    private var bytes = 0

    /// So many messages, or bytes of payload, are kept at most.
    private static let countMax = 64
    private static let bytesMax = 256 << 10

    /// Takes a message over.
    mutating func add(_ message: OpaquePointer, bytes count: Int) {
        messages.append(message)
        bytes += count
        if messages.count >= Self.countMax || bytes >= Self.bytesMax { destroyAll() }
    }

    /// Destroys what is kept; must be called before the last reference goes.
    mutating func destroyAll() {
        for message in messages { natsMsg_Destroy(message) }
        messages.removeAll(keepingCapacity: true)
        bytes = 0
    }
}
