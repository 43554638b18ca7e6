import Synchronization

/// What lies before a message's bytes in its envelope.
struct EnvelopeLayout {
    /// Lengths in bytes; a NUL follows the subject and the address.
    var subjectCount: Int
    var ackCount: Int
    var headerCount: Int
    /// What its lane counts for it until it is let go.
    var cost = 0
    var account: LaneAccount?
}

/// The memory of a ``MessageEnvelope``.
private final class EnvelopeBuffer: ManagedBuffer<EnvelopeLayout, UInt8> {
    deinit {
        if let account = header.account { account.remove(header.cost) }
    }
}

/// Subject, acknowledgement address and headers of a delivered message, in one allocation; never changed once made.
///
/// While a copy of it lives, its message counts among the bytes in hand of its lane.
struct MessageEnvelope: @unchecked Sendable {
    // Safe: written by `make` before anybody else has it, only read afterwards.
    private let buffer: ManagedBuffer<EnvelopeLayout, UInt8>

    /// Copies the pieces.
    static func make(
        subject: UnsafeRawBufferPointer?,
        ack: UnsafeRawBufferPointer,
        headers: UnsafeRawBufferPointer?,
        payloadCount: Int = 0,
        account: LaneAccount? = nil
    ) -> MessageEnvelope {
        let layout = EnvelopeLayout(
            subjectCount: subject?.count ?? 0,
            ackCount: ack.count,
            headerCount: headers?.count ?? 0
        )
        let count = layout.subjectCount + layout.ackCount + layout.headerCount + 2
        let buffer = EnvelopeBuffer.create(minimumCapacity: count) { _ in layout }
        buffer.withUnsafeMutablePointerToElements { bytes in
            var target = UnsafeMutableRawPointer(bytes)
            func append(_ piece: UnsafeRawBufferPointer?) {
                guard let piece, let source = piece.baseAddress else { return }
                target.copyMemory(from: source, byteCount: piece.count)
                target += piece.count
            }
            append(subject)
            target.storeBytes(of: 0, as: UInt8.self)
            target += 1
            append(ack)
            target.storeBytes(of: 0, as: UInt8.self)
            target += 1
            append(headers)
        }
        if let account {
            let cost = count + payloadCount + LaneAccount.overhead
            account.add(cost)
            buffer.header.cost = cost
            buffer.header.account = account
        }
        return MessageEnvelope(buffer: buffer)
    }

    /// Whether both are the same piece of memory.
    static func === (left: MessageEnvelope, right: MessageEnvelope) -> Bool { left.buffer === right.buffer }

    var hasHeaders: Bool { buffer.header.headerCount > 0 }

    var subject: String { text(at: 0, buffer.header.subjectCount) }

    var ack: String { text(at: buffer.header.subjectCount + 1, buffer.header.ackCount) }

    /// The header block as it came, empty if there is none; not to be kept.
    func withHeaders<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        buffer.withUnsafeMutablePointers { layout, bytes in
            let start = bytes + layout.pointee.subjectCount + layout.pointee.ackCount + 2
            return body(UnsafeRawBufferPointer(start: start, count: layout.pointee.headerCount))
        }
    }

    /// The address as C wants it.
    func withAck<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        let offset = buffer.header.subjectCount + 1
        return buffer.withUnsafeMutablePointerToElements { bytes in
            body(UnsafeRawPointer(bytes + offset).assumingMemoryBound(to: CChar.self))
        }
    }

    private func text(at offset: Int, _ count: Int) -> String {
        buffer.withUnsafeMutablePointerToElements { bytes in
            String(decoding: UnsafeBufferPointer(start: bytes + offset, count: count), as: UTF8.self)
        }
    }
}

/// The bytes of delivered messages that one lane and its owner hold.
final class LaneAccount: Sendable {
    /// What a message takes beside its bytes, roughly.
    static let overhead = 256
    private let bytes = Atomic<Int>(0)

    var held: Int { bytes.load(ordering: .relaxed) }
    func add(_ count: Int) { bytes.add(count, ordering: .relaxed) }
    func remove(_ count: Int) { bytes.subtract(count, ordering: .relaxed) }
}
