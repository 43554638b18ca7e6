/// Field lines (RFC 9112 §5, RFC 9110 §5.5) and the Host (RFC 9112 §3.2).
extension FramingProbe {
    private static func long(_ count: Int) -> String { String(repeating: "a", count: count) }

    static let fieldLines: [FramingProbe] = [
        .good("bytes over 0x7F in a value", "X-A: \u{FC}\u{E9}\r\nContent-Length: {n}"),
        .good("a tab in a value", "X-A: a\tb\r\nContent-Length: {n}"),
        .good("an empty value", "X-A:\r\nContent-Length: {n}"),
        .good("a name with every sign a token may have", "!#$%&'*+-.^_`|~09: a\r\nContent-Length: {n}"),
        .good("a Range, which means nothing here", "Range: bytes=0-10\r\nContent-Length: {n}"),
        .good("an Accept of another type", "Accept: application/x-nonsense\r\nContent-Length: {n}"),
        .fields("a space before the colon", "X-A : b"),
        .fields("a tab before the colon", "X-A\t: b"),
        .fields("an empty name", ": b"),
        .fields("a space as a name", " : b"),
        .fields("no colon", "NoColonHere"),
        .fields("a line that is folded", "X-A: b\r\n c"),
        .fields("a line that is folded with a tab", "X-A: b\r\n\tc"),
        .fields("a line that is folded to nothing", "X-A: b\r\n "),
        .fields("a value that begins on the next line", "X-A:\r\n b"),
        .fields("a bare LF at the end of a line", "X-A: b\nX-C: d"),
        .fields("a bare CR in a value", "X-A: b\rc"),
        .fields("a bare CR at the end of a line", "X-A: b\rX-C: d"),
        .fields("CR CR LF at the end of a line", "X-A: b\r"),
        .fields("a NUL in a value", "X-A: b\0c"),
        .fields("a NUL in a name", "X\0A: b"),
        .fields("a bell in a value", "X-A: b\u{07}c"),
        .fields("a backspace in a value", "X-A: b\u{08}c"),
        .fields("a vertical tab in a value", "X-A: b\u{0B}c"),
        .fields("a form feed in a value", "X-A: b\u{0C}c"),
        .fields("an escape in a value", "X-A: b\u{1B}[31m"),
        .fields("a DEL in a value", "X-A: b\u{7F}c"),
        .fields("a space in a name", "X A: b"),
        .fields("a bracket in a name", "Bad[Name: b"),
        .fields("a slash in a name", "X/A: b"),
        .fields("a quote in a name", "X\"A: b"),
        .fields("an at sign in a name", "X@A: b"),
        .fields("a byte over 0x7F in a name", "X-T\u{E9}st: b"),
        .fields("a DEL in a name", "X\u{7F}A: b"),
        .fields("a bare CR in a name", "X\rA: b"),
        .fields("a bare LF in a name", "X\nA: b"),
        .fields("a name of 100 KB", "\(long(100_000)): b", .refused([400, 431])),
        .fields("a value of 100 KB", "X-A: \(long(100_000))", .refused([400, 431])),
        .fields("300 fields", (0..<300).map { "X-\($0): b" }.joined(separator: "\r\n"), .refused([431])),
        .raw("white space before the first field", "POST {T} HTTP/1.1\r\n {H}{C}Content-Length: {n}\r\n\r\n{E}"),
        .raw(
            "a line of white space before the fields",
            "POST {T} HTTP/1.1\r\n \r\n{H}{C}Content-Length: {n}\r\n\r\n{E}"
        ),
        .raw("a tab before the first field", "POST {T} HTTP/1.1\r\n\t{H}{C}Content-Length: {n}\r\n\r\n{E}"),
        .raw("a head that ends with a bare LF", "POST {T} HTTP/1.1\r\n{H}{C}Content-Length: {n}\r\n\n{E}"),
        .raw("a head that ends with bare LFs", "POST {T} HTTP/1.1\n{H}{C}Content-Length: {n}\n\n{E}"),
        .raw("a head that ends with bare CRs", "POST {T} HTTP/1.1\r{H}{C}Content-Length: {n}\r\r{E}"),
        .raw("a head that does not end", "POST {T} HTTP/1.1\r\n{H}{C}X-A: b", .incomplete),
        .raw("bytes that are no HTTP", "\u{16}\u{03}\u{01}\u{02}\0\u{01}\0\u{01}\u{FC}\u{03}\u{03}"),
        .raw("bytes that are no text", "\u{80}\u{FF}\u{FE}\0\r\n\r\n"),
    ]

    private static func host(_ name: String, _ host: String, target: String = "{T}") -> FramingProbe {
        .raw("Host: \(name)", "POST \(target) HTTP/1.1\r\n\(host){C}Content-Length: {n}\r\n\r\n{E}")
    }

    private static func goodHost(_ name: String, _ host: String, target: String = "{T}") -> FramingProbe {
        FramingProbe(
            "Host: \(name)",
            "POST \(target) HTTP/1.1\r\nHost: \(host)\r\n{C}Content-Length: {n}\r\n\r\n{E}",
            .goesOn(202),
            other: .answered(405)
        )
    }

    static let hosts: [FramingProbe] = [
        goodHost("a name", "sluice.test"), goodHost("a name and a port", "sluice.test:8080"),
        goodHost("an empty port", "sluice.test:"), goodHost("an IPv4 address", "127.0.0.1:8080"),
        goodHost("an IPv6 address", "[::1]:8080"), goodHost("an underscore", "my_service"),
        goodHost("white space around it", " sluice.test "),
        goodHost("the target's", "sluice.test", target: "http://sluice.test{T}"),
        goodHost("the target's in other letters", "Sluice.Test", target: "HTTP://sluice.TEST{T}"),
        goodHost("the target's, with the port that is meant anyway", "sluice.test", target: "http://sluice.test:80{T}"),
        host("missing", ""), host("empty", "Host: \r\n"), host("white space only", "Host: \t \r\n"),
        host("twice", "Host: a\r\nHost: b\r\n"), host("twice the same", "Host: a\r\nHost: a\r\n"),
        host("twice, the second empty", "Host: a\r\nHost: \r\n"),
        host("a list", "Host: a, b\r\n"), host("a list without a space", "Host: a,b\r\n"),
        host("two names", "Host: a b\r\n"), host("a path", "Host: a/path\r\n"), host("a backslash", "Host: a\\b\r\n"),
        host("userinfo", "Host: user@a\r\n"), host("a query", "Host: a?b\r\n"), host("a fragment", "Host: a#b\r\n"),
        host("a scheme", "Host: http://a\r\n"), host("a port that is no number", "Host: a:80x\r\n"),
        host("a port with a sign", "Host: a:-80\r\n"), host("two ports", "Host: a:80:81\r\n"),
        host("a port without a name", "Host: :80\r\n"), host("a bracket that does not end", "Host: [::1\r\n"),
        host("something behind the bracket", "Host: [::1]a\r\n"), host("a bracket in a name", "Host: a[b]\r\n"),
        host("a quote", "Host: \"a\"\r\n"), host("an angle bracket", "Host: <a>\r\n"),
        host("a byte over 0x7F", "Host: \u{E9}\r\n"), host("a NUL", "Host: a\0\r\n"),
        host("a space before the colon", "Host : a\r\n"), host("folded", "Host: a\r\n b\r\n"),
        host("folded to the next line", "Host:\r\n a\r\n"),
        host("on a line with white space before it", " Host: a\r\n"),
        host("twice, the second with a space before the colon", "Host: a\r\nHost : b\r\n"),
        host("not the target's", "Host: other.test\r\n", target: "http://sluice.test{T}"),
        host("not the target's port", "Host: sluice.test:81\r\n", target: "http://sluice.test:8080{T}"),
        host("not the target's, which has userinfo", "{H}", target: "http://user@sluice.test{T}"),
        host("not the target's, which is empty", "{H}", target: "http://{T}"),
        host("missing, with a target in absolute form", "", target: "http://sluice.test{T}"),
    ]
}
