/// The head of an HTTP/1.1 answer (RFC 9112 §4, §5, §6), as far as it matters here; pure and strict.
struct HTTP1ResponseHead {
    /// How the body ends.
    enum Framing: Equatable {
        case none
        case length(Int)
        case chunked
        case untilClose
    }

    struct Fault: Error {
        let reason: String
    }

    private(set) var status = 0
    private(set) var framing = Framing.untilClose
    private(set) var keepsAlive = true
    private(set) var retryAfter: String?
    private(set) var wanted: [WebhookResponse.Field] = []

    private var length: Int?
    private var isChunked = false

    /// Reads a head that ends with its empty line.
    ///
    /// - Parameter names: in lower case, the fields to keep.
    init(_ bytes: UnsafeRawBufferPointer, wanted names: [String]) throws(Fault) {
        var position = try statusLine(bytes)
        while true {
            var end = position
            while bytes[end] != UInt8(ascii: "\n") { end += 1 }
            let next = end + 1
            if end > position, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
            if end == position { break }
            try field(UnsafeRawBufferPointer(rebasing: bytes[position..<end]), names)
            position = next
        }
        if status < 200 || status == 204 || status == 304 {
            framing = .none
        } else if isChunked {
            guard length == nil else { throw Fault(reason: "Content-Length and Transfer-Encoding together") }
            framing = .chunked
        } else if let length {
            framing = .length(length)
        } else {
            keepsAlive = false
        }
    }

    /// Returns the position after it.
    private mutating func statusLine(_ bytes: UnsafeRawBufferPointer) throws(Fault) -> Int {
        guard bytes.count >= 13, bytes.prefix(7).elementsEqual("HTTP/1.".utf8), (0x30...0x39).contains(bytes[7]),
            bytes[8] == 0x20
        else { throw Fault(reason: "not an HTTP/1.1 answer") }
        for byte in bytes[9..<12] {
            guard (0x30...0x39).contains(byte) else { throw Fault(reason: "a status that is no number") }
            status = status * 10 + Int(byte - 0x30)
        }
        guard status >= 100, bytes[12] == 0x20 || bytes[12] == 0x0D || bytes[12] == 0x0A else {
            throw Fault(reason: "a status that is no number of three digits")
        }
        keepsAlive = bytes[7] != UInt8(ascii: "0")
        var position = 12
        while bytes[position] != UInt8(ascii: "\n") { position += 1 }
        return position + 1
    }

    private mutating func field(_ line: UnsafeRawBufferPointer, _ names: [String]) throws(Fault) {
        var colon = 0
        while colon < line.count, FieldRules.isToken[Int(line[colon])] { colon += 1 }
        guard colon > 0, colon < line.count, line[colon] == UInt8(ascii: ":") else {
            throw Fault(reason: "a malformed field")
        }
        var start = colon + 1
        var end = line.count
        while start < end, line[start] == 0x20 || line[start] == 0x09 { start += 1 }
        while end > start, line[end - 1] == 0x20 || line[end - 1] == 0x09 { end -= 1 }
        let value = UnsafeRawBufferPointer(rebasing: line[start..<end])
        for byte in value where byte == 0x0D || byte == 0 { throw Fault(reason: "a malformed field") }
        let name = UnsafeRawBufferPointer(rebasing: line[..<colon])
        switch colon {
        case 10 where Self.equals(name, "connection"): connection(value)
        case 11 where Self.equals(name, "retry-after"): retryAfter = String(decoding: value, as: UTF8.self)
        case 14 where Self.equals(name, "content-length"): try contentLength(value)
        case 17 where Self.equals(name, "transfer-encoding"): try transferEncoding(value)
        default: break
        }
        for wantedName in names where Self.equals(name, wantedName) {
            wanted.append(.init(name: wantedName, value: String(decoding: value, as: UTF8.self)))
        }
    }

    private mutating func connection(_ value: UnsafeRawBufferPointer) {
        for option in value.split(separator: UInt8(ascii: ",")) {
            let word = String(decoding: option, as: UTF8.self).lowercased()
            if word.contains("close") { keepsAlive = false }
            if word.contains("keep-alive") { keepsAlive = true }
        }
    }

    private mutating func contentLength(_ value: UnsafeRawBufferPointer) throws(Fault) {
        guard (1...18).contains(value.count), value.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw Fault(reason: "a malformed Content-Length")
        }
        let number = value.reduce(0) { $0 * 10 + Int($1 - 0x30) }
        guard length == nil || length == number else { throw Fault(reason: "two different Content-Lengths") }
        length = number
    }

    private mutating func transferEncoding(_ value: UnsafeRawBufferPointer) throws(Fault) {
        guard !isChunked, Self.equals(value, "chunked") else {
            throw Fault(reason: "a Transfer-Encoding that was not asked for")
        }
        isChunked = true
    }

    /// Whether `bytes` is `name`, which is in lower case, whatever the case of its letters.
    private static func equals(_ bytes: UnsafeRawBufferPointer, _ name: String) -> Bool {
        guard bytes.count == name.utf8.count else { return false }
        var index = 0
        for letter in name.utf8 {
            let byte = bytes[index]
            guard byte == letter || ((0x41...0x5A).contains(byte) && byte | 0x20 == letter) else { return false }
            index += 1
        }
        return true
    }
}
