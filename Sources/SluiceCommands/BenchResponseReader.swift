/// Finds the ends of HTTP/1.1 answers in a byte stream and their status, and looks at nothing else.
///
/// Bodies must have a `Content-Length`; answers with a number below 200 are passed over; a chunked body is an error.
package struct BenchResponseReader: Sendable {
    /// What a stream of bytes led to.
    package enum Event: Sendable, Equatable {
        /// An answer is complete; `closes` tells that the server ends the connection.
        case answer(status: Int, closes: Bool)
        /// More bytes are needed.
        case incomplete
        /// The stream cannot be read further.
        case fault(String)
    }

    /// Most bytes of a head.
    static let headBytesMax = 65_536

    private var head: [UInt8] = []
    private var bodyLeft = 0
    private var status = 0
    private var closes = false

    package init() {}

    /// Takes bytes from the front of `bytes` until an answer is complete or nothing is left.
    package mutating func read(_ bytes: inout Slice<UnsafeRawBufferPointer>) -> Event {
        while true {
            if bodyLeft > 0 {
                let taken = min(bodyLeft, bytes.count)
                bytes = bytes.dropFirst(taken)
                bodyLeft -= taken
                if bodyLeft > 0 { return .incomplete }
                return .answer(status: status, closes: closes)
            }
            guard takeHead(&bytes) else {
                return head.count > Self.headBytesMax ? .fault("the head of an answer is too long") : .incomplete
            }
            if let fault = parseHead() { return .fault(fault) }
            head.removeAll(keepingCapacity: true)
            if status < 200 { continue }
            if bodyLeft == 0 { return .answer(status: status, closes: closes) }
        }
    }

    /// Moves bytes into `head` up to and with the empty line; says whether it was there.
    private mutating func takeHead(_ bytes: inout Slice<UnsafeRawBufferPointer>) -> Bool {
        while let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
            head.append(contentsOf: bytes[...end])
            bytes = bytes[(end + 1)...]
            if head.count > Self.headBytesMax { return false }
            if head.suffix(4).elementsEqual("\r\n\r\n".utf8) || head.suffix(2).elementsEqual("\n\n".utf8) {
                return true
            }
        }
        head.append(contentsOf: bytes)
        bytes = bytes[bytes.endIndex...]
        return false
    }

    private mutating func parseHead() -> String? {
        guard head.starts(with: "HTTP/1.".utf8), head.count >= 12, let status = Self.number(head[9..<12]) else {
            return "what answers is not an HTTP/1.1 server"
        }
        self.status = status
        closes = head[7] == UInt8(ascii: "0")
        bodyLeft = 0
        let hasNoBody = status < 200 || status == 204 || status == 304
        var length: Int?
        for line in head.split(separator: UInt8(ascii: "\n")).dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let value = Self.trimmed(line[(colon + 1)...])
            if Self.equals(line[..<colon], "content-length") {
                guard length == nil, let number = Self.number(value), number <= 1 << 30 else {
                    return "a bad Content-Length"
                }
                length = number
            } else if Self.equals(line[..<colon], "transfer-encoding") {
                return "a chunked answer, which this load generator does not read"
            } else if Self.equals(line[..<colon], "connection"), Self.equals(value, "close") {
                closes = true
            }
        }
        if hasNoBody { return nil }
        guard let length else { return "an answer without Content-Length" }
        bodyLeft = length
        return nil
    }

    private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let head = bytes.drop { $0 <= 0x20 }
        return head.lastIndex { $0 > 0x20 }.map { head[...$0] } ?? []
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard !digits.isEmpty, digits.count <= 10 else { return nil }
        var value = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return value
    }

    /// Whether `bytes` is `name`, which is in lower case, whatever the case of its letters.
    private static func equals(_ bytes: ArraySlice<UInt8>, _ name: StaticString) -> Bool {
        guard bytes.count == name.utf8CodeUnitCount else { return false }
        return zip(bytes, UnsafeBufferPointer(start: name.utf8Start, count: bytes.count)).allSatisfy { byte, letter in
            byte == letter || ((0x41...0x5A).contains(byte) && byte | 0x20 == letter)
        }
    }
}
