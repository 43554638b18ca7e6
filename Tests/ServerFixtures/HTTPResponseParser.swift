/// Reads one response from the beginning of a buffer, by RFC 9112 to the letter.
///
/// Called again with more bytes until the response is whole; it keeps no position, since a test's responses are small.
package struct HTTPResponseParser {
    private let method: String
    private typealias Fields = [(name: String, value: String)]

    /// - Parameter method: The request's method.
    package init(answering method: String) {
        self.method = method
    }

    /// - Parameter ended: The peer has closed: a body without a length ends here.
    /// - Returns: The response and how many bytes it took, or `nil` when more are needed.
    package func parse(
        _ buffer: [UInt8],
        ended: Bool
    ) throws(HTTPClientError) -> (HTTPResponse, used: Int)? {
        guard let headEnd = Self.endOfHead(buffer) else { return nil }
        let lines = try Self.lines(buffer[..<headEnd])
        let (version, status) = try Self.statusLine(lines.first ?? "")
        var fields: Fields = []
        for line in lines.dropFirst() {
            fields.append(try Self.field(line))
        }
        let rest = buffer[headEnd...]
        guard let (body, used) = try body(rest, status: status, fields: fields, ended: ended) else { return nil }
        return (HTTPResponse(version: version, status: status, headers: fields, body: body), headEnd + used)
    }

    private func body(
        _ rest: ArraySlice<UInt8>,
        status: Int,
        fields: Fields,
        ended: Bool
    ) throws(HTTPClientError) -> (body: [UInt8], used: Int)? {
        let lengths = fields.filter { $0.name.lowercased() == "content-length" }
        let codings = fields.filter { $0.name.lowercased() == "transfer-encoding" }
        if status < 200 || status == 204 || status == 304 {
            guard lengths.isEmpty || status == 304, codings.isEmpty else {
                throw .malformed("a \(status) response announces a body")
            }
            return ([], 0)
        }
        if method == "HEAD" { return ([], 0) }
        guard lengths.count + codings.count <= 1 else { throw .malformed("more than one length: \(fields)") }
        if let coding = codings.first {
            guard coding.value == "chunked" else { throw .malformed("transfer coding \(coding.value)") }
            return try Self.chunks(rest)
        }
        guard let length = lengths.first else {
            return ended ? (Array(rest), rest.count) : nil
        }
        guard !length.value.isEmpty, length.value.utf8.allSatisfy({ (48...57).contains($0) }),
            let count = Int(length.value)
        else { throw .malformed("Content-Length: \(length.value)") }
        return rest.count >= count ? (Array(rest.prefix(count)), count) : nil
    }

    private static func chunks(_ rest: ArraySlice<UInt8>) throws(HTTPClientError) -> (body: [UInt8], used: Int)? {
        var body: [UInt8] = []
        var position = rest.startIndex
        while true {
            guard let lineEnd = endOfLine(rest[position...]) else { return nil }
            let line = String(decoding: rest[position..<(lineEnd - 2)], as: UTF8.self)
            guard let size = Int(line, radix: 16), size >= 0 else { throw .malformed("chunk size '\(line)'") }
            position = lineEnd
            guard rest.endIndex - position >= size + 2 else { return nil }
            body += rest[position..<(position + size)]
            position += size
            guard rest[position] == 13, rest[position + 1] == 10 else { throw .malformed("no CRLF after a chunk") }
            position += 2
            if size == 0 { return (body, position - rest.startIndex) }
        }
    }

    private static func statusLine(_ line: String) throws(HTTPClientError) -> (version: String, status: Int) {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == "HTTP/1.1" || parts[0] == "HTTP/1.0",
            parts[1].utf8.count == 3, let status = Int(parts[1]), (100...599).contains(status)
        else { throw .malformed("status line '\(line)'") }
        return (String(parts[0]), status)
    }

    private static func field(_ line: String) throws(HTTPClientError) -> (name: String, value: String) {
        guard let colon = line.firstIndex(of: ":") else { throw .malformed("field without a colon: '\(line)'") }
        let name = line[..<colon]
        let symbols: Set<Character> = ["!", "#", "$", "%", "&", "'", "*", "+", "-", ".", "^", "_", "`", "|", "~"]
        guard !name.isEmpty, name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || symbols.contains($0)) })
        else { throw .malformed("field name '\(name)'") }
        let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
        return (String(name), String(value.reversed().drop { $0 == " " || $0 == "\t" }.reversed()))
    }

    /// Splits a head at CRLF; a CR, LF or NUL anywhere else is an error (a response that was split).
    private static func lines(_ head: ArraySlice<UInt8>) throws(HTTPClientError) -> [String] {
        var lines: [String] = []
        var line: [UInt8] = []
        var position = head.startIndex
        while position < head.endIndex {
            let byte = head[position]
            if byte == 13, position + 1 < head.endIndex, head[position + 1] == 10 {
                lines.append(String(decoding: line, as: UTF8.self))
                line = []
                position += 2
                continue
            }
            guard byte >= 32 || byte == 9 else { throw .malformed("control byte \(byte) in the head") }
            line.append(byte)
            position += 1
        }
        return lines.filter { !$0.isEmpty }
    }

    private static func endOfHead(_ buffer: [UInt8]) -> Int? {
        guard buffer.count >= 4 else { return nil }
        return (0...(buffer.count - 4)).first { index in
            buffer[index] == 13 && buffer[index + 1] == 10 && buffer[index + 2] == 13 && buffer[index + 3] == 10
        }.map { $0 + 4 }
    }

    private static func endOfLine(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard let end = bytes.firstIndex(of: 10), end > bytes.startIndex, bytes[end - 1] == 13 else { return nil }
        return end + 1
    }
}
