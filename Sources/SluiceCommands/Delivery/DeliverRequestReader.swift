/// Finds the ends of HTTP/1.1 requests in a byte stream, and of each the method and the number in its event's id.
///
/// For the receiver of `bench deliver`, which must cost little: nothing else is looked at. Bodies must have a
/// `Content-Length`.
package struct DeliverRequestReader: Sendable {
    /// What a stream of bytes led to.
    package enum Event: Sendable, Equatable {
        /// An event has been delivered; `number` is the one of its id, if the id is of this run.
        case delivery(number: Int?)
        /// Somebody asks whether deliveries are welcome.
        case options
        /// More bytes are needed.
        case incomplete
        /// The stream cannot be read further.
        case fault(String)
    }

    /// Most bytes of a head.
    static let headBytesMax = 65_536

    private let prefix: [UInt8]
    private var head: [UInt8] = []
    private var bodyLeft = 0
    private var pending: Event?

    /// - Parameter run: What every id of this run begins with; a dash and the number follow.
    package init(run: String) {
        prefix = Array("\(run)-".utf8)
    }

    /// Takes bytes from the front of `bytes` until a request is complete or nothing is left.
    package mutating func read(_ bytes: inout Slice<UnsafeRawBufferPointer>) -> Event {
        if pending == nil {
            guard takeHead(&bytes) else {
                return head.count > Self.headBytesMax ? .fault("the head of a request is too long") : .incomplete
            }
            if let fault = parseHead() { return .fault(fault) }
            head.removeAll(keepingCapacity: true)
        }
        let taken = min(bodyLeft, bytes.count)
        bytes = bytes.dropFirst(taken)
        bodyLeft -= taken
        guard bodyLeft == 0, let event = pending else { return .incomplete }
        pending = nil
        return event
    }

    /// Moves bytes into `head` up to and with the empty line; says whether it was there.
    private mutating func takeHead(_ bytes: inout Slice<UnsafeRawBufferPointer>) -> Bool {
        while let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
            head.append(contentsOf: bytes[...end])
            bytes = bytes[(end + 1)...]
            if head.count > Self.headBytesMax { return false }
            if head.suffix(4).elementsEqual("\r\n\r\n".utf8) { return true }
        }
        head.append(contentsOf: bytes)
        bytes = bytes[bytes.endIndex...]
        return false
    }

    private mutating func parseHead() -> String? {
        let lines = head.split(separator: UInt8(ascii: "\n"))
        guard let first = lines.first, first.dropLast().suffix(9).elementsEqual(" HTTP/1.1".utf8) else {
            return "what comes is not an HTTP/1.1 request"
        }
        let isPost = first.starts(with: "POST ".utf8)
        guard isPost || first.starts(with: "OPTIONS ".utf8) else { return "a method that no sender of events uses" }
        bodyLeft = 0
        var number: Int?
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let value = line[(colon + 1)...].drop { $0 <= 0x20 }
            let end = value.lastIndex { $0 > 0x20 }.map { $0 + 1 } ?? value.startIndex
            switch line[..<colon].map({ (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }) {
            case Self.lengthName:
                guard let length = Self.number(value[..<end]), length <= 1 << 30 else { return "a bad Content-Length" }
                bodyLeft = length
            case Self.codingName: return "a chunked request, which this receiver does not read"
            case Self.idName:
                if value.starts(with: prefix) { number = Self.number(value[..<end].dropFirst(prefix.count)) }
            default: break
            }
        }
        pending = isPost ? .delivery(number: number) : .options
        return nil
    }

    private static let lengthName = Array("content-length".utf8)
    private static let codingName = Array("transfer-encoding".utf8)
    private static let idName = Array("ce-id".utf8)

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count <= 15, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
