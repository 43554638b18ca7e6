/// Request lines (RFC 9112 §3), what ends a connection (§9.6), methods and paths nobody should send.
extension FramingProbe {
    private static func long(_ count: Int) -> String { String(repeating: "a", count: count) }

    private static func goodLine(_ name: String, _ line: String) -> FramingProbe {
        let bytes = line + "\r\n{H}{C}Content-Length: {n}\r\n\r\n{E}"
        return FramingProbe(name, bytes, .goesOn(202), other: .answered(405))
    }

    static let requestLines: [FramingProbe] = [
        FramingProbe(
            "one empty line before the request",
            "\r\nPOST {T} HTTP/1.1\r\n{H}{C}Content-Length: {n}\r\n\r\n{E}",
            .goesOn(202),
            other: .answered(405)
        ),
        // RFC 9112 §3: a parser may take any white space between the parts; it is the same request to all who do.
        .goodLine("two spaces before the target", "POST  {T} HTTP/1.1"),
        .goodLine("two spaces before the version", "POST {T}  HTTP/1.1"),
        .line("a space behind the version", "POST {T} HTTP/1.1 "),
        .line("a space before the method", " POST {T} HTTP/1.1"),
        .line("a tab before the target", "POST\t{T} HTTP/1.1"),
        .line("a tab before the version", "POST {T}\tHTTP/1.1"),
        .line("a vertical tab before the target", "POST\u{0B}{T} HTTP/1.1"),
        .line("no target", "POST HTTP/1.1"),
        .line("an empty target", "POST  HTTP/1.1"),
        .line("a target with a space", "POST {T} a HTTP/1.1"),
        .line("a target with a tab", "POST {T}?a\tb HTTP/1.1"),
        .line("a target with a NUL", "POST {T}\0 HTTP/1.1"),
        .line("a target with a control character", "POST {T}?\u{01} HTTP/1.1"),
        .line("a target with a DEL", "POST {T}?\u{7F} HTTP/1.1"),
        .line("a target with a byte over 0x7F", "POST {T}?\u{E9} HTTP/1.1"),
        .line("a target with an overlong slash", "POST {T}?\u{C0}\u{AF} HTTP/1.1"),
        .line("a target with a bare CR", "POST {T}\r HTTP/1.1"),
        .line("a target with a bare LF", "POST {T}\n HTTP/1.1"),
        .line("a target with a fragment", "POST {T}#frag HTTP/1.1"),
        .line("a target without a slash", "POST v1/events HTTP/1.1"),
        .line("a target that is a name and a port", "POST sluice.test:80 HTTP/1.1"),
        .line("a target of another scheme", "POST ftp://sluice.test{T} HTTP/1.1"),
        .line("a target that is a word with a colon", "POST javascript:alert(1) HTTP/1.1"),
        .line("a star with POST", "POST * HTTP/1.1"),
        .line("a star with GET", "GET * HTTP/1.1"),
        .line("a target that begins with a star", "POST *{T} HTTP/1.1"),
        .line("a target of 9,000 bytes", "POST {T}?\(long(9000)) HTTP/1.1", .refused([414])),
        .line("a method in small letters", "post {T} HTTP/1.1"),
        .line("a method with a NUL", "PO\0ST {T} HTTP/1.1"),
        .line("a method with a bracket", "PO[ST {T} HTTP/1.1"),
        .line("a method with a colon", "POST: {T} HTTP/1.1"),
        .line("a method with a byte over 0x7F", "P\u{D6}ST {T} HTTP/1.1"),
        .line("a method with something before it", "XPOST {T} HTTP/1.1"),
        .line("a method nobody knows", "FOOBAR {T} HTTP/1.1", .refused([400, 405, 501])),
        .line("a method of 100 KB", "\(long(100_000)) {T} HTTP/1.1", .refused([400, 431, 501])),
        .line("a version in small letters", "POST {T} http/1.1"),
        .line("a version with a space in it", "POST {T} HTTP/ 1.1"),
        .line("a version without a minor number", "POST {T} HTTP/1"),
        .line("a version with leading zeros", "POST {T} HTTP/01.01"),
        .line("a version with three numbers", "POST {T} HTTP/1.1.1"),
        .line("a version with a number of two digits", "POST {T} HTTP/1.10"),
        .line("a version with a comma", "POST {T} HTTP/1,1"),
        // The parser takes it for HTTP/1.0, which ends the connection.
        FramingProbe(
            "a version of another protocol",
            "POST {T} RTSP/1.0\r\n{H}{C}Content-Length: {n}\r\n\r\n{E}",
            .last(202),
            other: .last(405)
        ),
        .line("a version that is no version", "POST {T} HTTP/x.y"),
        .line("a version with something before it", "POST {T} XHTTP/1.1"),
        .line("HTTP/0.9 as a version", "POST {T} HTTP/0.9", .refused([400, 505])),
        .line("HTTP/1.2", "POST {T} HTTP/1.2", .refused([400, 505])),
        .line("HTTP/2.0", "POST {T} HTTP/2.0", .refused([400, 505])),
        .line("HTTP/3.0", "POST {T} HTTP/3.0", .refused([400, 505])),
        .line("HTTP/9.9", "POST {T} HTTP/9.9", .refused([400, 505])),
        .raw("a request of HTTP/0.9", "GET {T}\r\n"),
        .raw("a request line ended by a bare LF", "POST {T} HTTP/1.1\n{H}{C}Content-Length: {n}\r\n\r\n{E}"),
        .raw("a request line ended by a bare CR", "POST {T} HTTP/1.1\r{H}{C}Content-Length: {n}\r\n\r\n{E}"),
        .raw("a request line ended by CR CR LF", "POST {T} HTTP/1.1\r\r\n{H}{C}Content-Length: {n}\r\n\r\n{E}"),
        .raw(
            "a line of white space before the request",
            "  \r\nPOST {T} HTTP/1.1\r\n{H}{C}Content-Length: {n}\r\n\r\n{E}"
        ),
        .raw("a response", "HTTP/1.1 200 OK\r\n{H}Content-Length: 0\r\n\r\n"),
        .raw("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .refused([400, 505])),
        .raw("half a request line", "POST {T}", .incomplete),
        .raw("nothing", "", .incomplete),
        .raw("empty lines and nothing else", "\r\n\r\n", .incomplete),
    ]

    static let connections: [FramingProbe] = [
        .raw(
            "Connection: close with a second request behind",
            "GET /health/live HTTP/1.1\r\n{H}Connection: close\r\n\r\n",
            .last(200)
        ),
        .raw(
            "Connection: Close in a list",
            "GET /health/live HTTP/1.1\r\n{H}Connection: X-A, Close\r\n\r\n",
            .last(200)
        ),
        .raw(
            "Connection: close and keep-alive",
            "GET /health/live HTTP/1.1\r\n{H}Connection: keep-alive, close\r\n\r\n",
            .last(200)
        ),
        .raw(
            "Connection: close in a second field",
            "GET /health/live HTTP/1.1\r\n{H}Connection: keep-alive\r\n"
                + "Connection: close\r\n\r\n",
            .last(200)
        ),
        FramingProbe(
            "a publish with Connection: close",
            "POST {T} HTTP/1.1\r\n{H}{C}Connection: close\r\n"
                + "Content-Length: {n}\r\n\r\n{E}",
            .last(202),
            other: .last(405)
        ),
        FramingProbe(
            "a publish by HTTP/1.0",
            "POST {T} HTTP/1.0\r\n{H}{C}Content-Length: {n}\r\n\r\n{E}",
            .last(202),
            other: .last(405)
        ),
        FramingProbe(
            "HTTP/1.0 with an expectation",
            "POST {T} HTTP/1.0\r\n{H}{C}Expect: 100-continue\r\n"
                + "Content-Length: {n}\r\n\r\n{E}",
            .last(202),
            other: .last(405)
        ),
        .raw("HTTP/1.0 without a Host", "GET /health/live HTTP/1.0\r\n\r\n", .last(200)),
        FramingProbe(
            "Upgrade: h2c",
            "POST {T} HTTP/1.1\r\n{H}{C}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                + "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nContent-Length: {n}\r\n\r\n{E}",
            .last(202),
            other: .last(405)
        ),
        FramingProbe(
            "Upgrade without Connection",
            "POST {T} HTTP/1.1\r\n{H}{C}Upgrade: websocket\r\n"
                + "Content-Length: {n}\r\n\r\n{E}",
            .last(202),
            other: .last(405)
        ),
        .raw(
            "Upgrade: websocket",
            "GET /health/live HTTP/1.1\r\n{H}Connection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            .last(200)
        ),
        .raw(
            "Upgrade by HTTP/1.0",
            "GET /health/live HTTP/1.0\r\n{H}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            .last(200)
        ),
        .good("Expect: 100-continue", "Expect: 100-continue\r\nContent-Length: {n}"),
        .good("Expect: 100-Continue", "Expect: 100-Continue\r\nContent-Length: {n}"),
        .fields("Expect: 200-ok", "Expect: 200-ok", .refused([417])),
        .fields("Expect: a list", "Expect: 100-continue, x", .refused([417])),
        .fields("Expect: twice", "Expect: x\r\nExpect: 100-continue", .refused([417])),
        .fields("Expect: empty", "Expect: ", .refused([417])),
        .raw(
            "CONNECT to a name and a port",
            "CONNECT sluice.test:443 HTTP/1.1\r\nHost: sluice.test:443\r\n\r\n",
            .refused([400, 404, 405, 501])
        ),
        .raw("CONNECT with a path", "CONNECT {T} HTTP/1.1\r\n{H}\r\n", .refused([400, 404, 405, 501])),
        .raw(
            "CONNECT with a body",
            "CONNECT sluice.test:443 HTTP/1.1\r\nHost: sluice.test:443\r\n"
                + "Content-Length: {s}\r\n\r\n{S}",
            .refused([400, 404, 405, 501])
        ),
    ]

    /// The announced bytes never come, or come without end: the answer does not wait for them.
    static let compressed: [FramingProbe] =
        contentCodings.flatMap(coded) + [
            .good("identity", "Content-Encoding: identity\r\nContent-Length: {n}")
        ]

    private static let contentCodings = [
        "gzip", "x-gzip", "deflate", "br", "zstd", "compress", "GZIP", "gzip, gzip",
        "identity, gzip", "gzip\r\nContent-Encoding: gzip",
    ]

    private static func coded(_ coding: String) -> [FramingProbe] {
        let magic = "\u{1F}\u{8B}\u{08}\0"
        let field = "Content-Encoding: \(coding)\r\n"
        return [
            .length("\(coding), 16 MB announced", field + "Content-Length: 16000000", body: magic, .refused([415])),
            .length(
                "\(coding), chunked without end",
                field + "Transfer-Encoding: chunked",
                body: "4\r\n\(magic)\r\n",
                .refused([415])
            ),
            .length("\(coding), a body that is an event", field + "Content-Length: {n}", .refused([415])),
        ]
    }

    static let targets: [FramingProbe] =
        oddPaths.map { path in
            .line("POST \(path)", "POST \(path) HTTP/1.1", .answered(404))
        }
        + oddMethods.map { method, target, status in
            .raw("\(method) \(target)", "\(method) \(target) HTTP/1.1\r\n{H}\r\n", .goesOn(status))
        } + tracing

    private static let oddPaths = [
        "/v1/events/", "/v1//events", "//v1/events", "/./v1/events", "/v1/./events", "/x/../v1/events",
        "/v1/events/..",
        "/v1/events/../events", "/v1%2Fevents", "/v1%2fevents", "/%76%31/events", "/v1/event%73", "/v1/events%00",
        "/v1/events%0d%0a", "/v1/events%20", "/v1/events%3Fa", "/v1/events;a=b", "/v1;a/events", "/v1\\events",
        "/V1/events", "/v1/EVENTS", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/%252e%252e/v1/events",
        "/..;/v1/events", "//", "/%", "/%zz", "/v1/events/%c0%ae%c0%ae/", "/v1/events.json",
        "/health/%2e%2e/v1/events",
    ]

    private static let oddMethods: [(method: String, target: String, status: Int)] = [
        ("TRACE", "/v1/events", 405), ("TRACE", "/health", 405), ("TRACE", "/none", 404),
        ("PUT", "/v1/events", 405),
        ("DELETE", "/v1/events", 405), ("PATCH", "/events/publish", 405), ("GET", "/v1/events", 405),
        ("DELETE", "/health", 405), ("POST", "/health/ready", 405), ("PROPFIND", "/v1/events", 405),
        ("GET", "/health/", 404), ("GET", "//health/live", 404), ("GET", "/health%2flive", 404),
        ("GET", "/Health", 404),
        ("GET", "/health/live;a", 404), ("GET", "/health/../health/live", 404), ("OPTIONS", "*", 200),
    ]

    private static let tracing: [FramingProbe] = [
        .raw("TRACE with a body", "TRACE /v1/events HTTP/1.1\r\n{H}Content-Length: {s}\r\n\r\n{S}", .answered(405)),
        .raw(
            "TRACE with credentials",
            "TRACE /v1/events HTTP/1.1\r\n{H}Authorization: Bearer secret\r\n\r\n",
            .goesOn(405)
        ),
    ]
}
