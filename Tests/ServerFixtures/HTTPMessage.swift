/// One request, as the exact bytes that go over the wire: nothing is added, checked, sorted or repaired.
///
/// Every character of a header name or value is one byte (latin-1), so that a test can send what no well-behaved
/// client would: raw control characters, bytes that are not UTF-8, a field that is repeated.
package struct HTTPRequest: Sendable {
    /// How the body's length is announced.
    package enum Framing: Sendable {
        /// `Content-Length`, also for an empty body.
        case contentLength
        /// `Transfer-Encoding: chunked`, in chunks of at most this many bytes.
        case chunked(of: Int)
        /// Not at all: the caller's header fields say what there is to say.
        case none
    }

    package var method: String
    package var target: String
    package var headers: [(name: String, value: String)]
    package var body: [UInt8]
    package var framing: Framing
    package var version = "HTTP/1.1"

    package init(
        _ method: String,
        _ target: String,
        headers: [(name: String, value: String)] = [],
        body: [UInt8] = [],
        framing: Framing? = nil
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.framing = framing ?? (method == "POST" || method == "PUT" || !body.isEmpty ? .contentLength : .none)
    }

    /// Everything up to and including the empty line.
    package var head: [UInt8] {
        var text = latin1("\(method) \(target) \(version)\r\nHost: sluice.test\r\n")
        for (name, value) in headers {
            text += latin1("\(name): \(value)\r\n")
        }
        switch framing {
        case .contentLength: text += latin1("Content-Length: \(body.count)\r\n")
        case .chunked: text += latin1("Transfer-Encoding: chunked\r\n")
        case .none: break
        }
        return text + [13, 10]
    }

    /// The body as it is framed.
    package var framedBody: [UInt8] {
        guard case .chunked(let size) = framing else { return body }
        var out: [UInt8] = []
        var rest = body[...]
        while !rest.isEmpty {
            let chunk = rest.prefix(size)
            rest = rest.dropFirst(size)
            out += latin1("\(String(chunk.count, radix: 16))\r\n") + chunk + [13, 10]
        }
        return out + latin1("0\r\n\r\n")
    }

    package var bytes: [UInt8] { head + framedBody }
}

/// One response, parsed strictly: what RFC 9112 does not allow is an error, never repaired.
package struct HTTPResponse: Sendable {
    package let version: String
    package let status: Int
    package let headers: [(name: String, value: String)]
    package let body: [UInt8]

    /// The value of a field, or `nil`; a repeated one is joined with a `|` that no test expects.
    package subscript(name: String) -> String? {
        let values = headers.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: " | ")
    }

    package var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON, or `.null` when it is not JSON.
    package var json: WireJSON { (try? WireJSON(parsing: body)) ?? .null }
}

/// The bytes of a string whose characters stand for one byte each; what does not fit becomes `?`.
package func latin1(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { UInt8(exactly: $0.value) ?? 0x3F }
}

/// What went wrong on the client's side of an HTTP connection.
package enum HTTPClientError: Error, CustomStringConvertible {
    case socket(call: String, errno: Int32)
    case timeout(waitingFor: String)
    case closed(after: Int)
    case malformed(String)

    package var description: String {
        switch self {
        case .socket(let call, let code): "\(call): errno \(code)"
        case .timeout(let what): "timed out waiting for \(what)"
        case .closed(let count): "the gateway closed the connection; \(count) bytes of a response had come"
        case .malformed(let why): "not a valid HTTP response: \(why)"
        }
    }
}
