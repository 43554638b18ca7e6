/// How long a body is: every way to say it wrong (RFC 9112 §6).
extension FramingProbe {
    /// 2⁶⁴, at which a counter of 64 bits is 0 again.
    private static let wrapped = "18446744073709551616"

    static let lengths = contentLengths + codings.flatMap(coded) + otherCodings

    private static let contentLengths: [FramingProbe] = [
        .good("Content-Length", "Content-Length: {n}"),
        .good("Content-Length with white space around it", "Content-Length: \t {n} "),
        .good("Content-Length after a tab", "Content-Length:\t{n}"),
        .good("Content-Length with leading zeros", "Content-Length: 000{n}"),
        .good("Content-Length in capitals", "CONTENT-LENGTH: {n}"),
        .good("Content_Length is another field", "Content-Length: {n}\r\nContent_Length: 5"),
        .length("duplicate Content-Length, differing", "Content-Length: {n}\r\nContent-Length: 5"),
        .length("duplicate Content-Length, differing, the other way", "Content-Length: 5\r\nContent-Length: {n}"),
        .length("duplicate Content-Length, the same", "Content-Length: {n}\r\nContent-Length: {n}"),
        .length("duplicate Content-Length, apart", "Content-Length: {n}\r\nX-A: b\r\ncontent-length: 0"),
        .length("Content-Length list, differing", "Content-Length: {n}, 5"),
        .length("Content-Length list, the same", "Content-Length: {n}, {n}"),
        .length("Content-Length list of three", "Content-Length: {n}, {n}, {n}"),
        .length("Content-Length list, an empty element", "Content-Length: {n},"),
        .length("Content-Length with a plus", "Content-Length: +{n}"),
        .length("Content-Length with a minus", "Content-Length: -{n}"),
        .length("Content-Length minus zero", "Content-Length: -0", body: ""),
        .length("Content-Length in hexadecimal", "Content-Length: 0x{x}"),
        .length("Content-Length as a bare hexadecimal number", "Content-Length: {x}a"),
        .length("Content-Length in octal", "Content-Length: 0o5", body: "hello"),
        .length("Content-Length with a space in it", "Content-Length: {n} 0"),
        .length("Content-Length with an underscore", "Content-Length: {n}_0"),
        .length("Content-Length with a fraction", "Content-Length: {n}.0"),
        .length("Content-Length with an exponent", "Content-Length: {n}e0"),
        .length("Content-Length with letters", "Content-Length: abc"),
        .length("Content-Length with letters behind", "Content-Length: {n}x"),
        .length("Content-Length in quotes", "Content-Length: \"{n}\""),
        .length("Content-Length, empty", "Content-Length: "),
        .length("Content-Length with a NUL", "Content-Length: {n}\0"),
        .length("Content-Length with a vertical tab", "Content-Length: \u{0B}{n}"),
        .length("Content-Length with a no-break space", "Content-Length: \u{A0}{n}"),
        .length("Content-Length over 64 bits", "Content-Length: 99999999999999999999"),
        .length("Content-Length that wraps to nothing", "Content-Length: \(wrapped)"),
        .length("Content-Length of 64 bits", "Content-Length: 18446744073709551615", .refused([400, 413])),
        .length("Content-Length of 63 bits", "Content-Length: 9223372036854775807", .refused([400, 413])),
        .length("Content-Length of 10 GB", "Content-Length: 10000000000", .refused([413])),
        .length("Content-Length with a space before the colon", "Content-Length : {n}"),
        .length(
            "Content-Length twice, one with a space before the colon",
            "Content-Length: {n}\r\nContent-Length : 5"
        ),
        .length("Content-Length on a line that is folded", "Content-Length:\r\n {n}"),
        .length("a tab in the name Content-Length", "Content-Length: {n}\r\nContent\tLength: 5"),
        .length("Content-Length larger than the body", "Content-Length: 1{n}", .incomplete),

        .good("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body: chunkedEvent),
        .good("chunked in other letters", "transfer-encoding: CHUNKED", body: chunkedEvent),
        .good("chunked with white space before it", "Transfer-Encoding: \t chunked", body: chunkedEvent),
        .length("chunked with white space behind it", "Transfer-Encoding: chunked ", body: chunkedEvent),
        .good("chunked without white space", "Transfer-Encoding:chunked", body: chunkedEvent),
        .good("Transfer_Encoding is another field", "Transfer_Encoding: chunked\r\nContent-Length: {n}"),
    ]

    /// Values of Transfer-Encoding that are not `chunked` alone.
    private static let codings: [(name: String, value: String)] = [
        ("xchunked", "xchunked"), ("chunkedx", "chunkedx"), ("identity", "identity"), ("gzip", "gzip"),
        ("chunked before gzip", "chunked, gzip"), ("gzip before chunked", "gzip, chunked"),
        ("chunked before identity", "chunked, identity"), ("identity before chunked", "identity, chunked"),
        ("chunked twice", "chunked, chunked"), ("a leading comma", ", chunked"), ("a trailing comma", "chunked,"),
        ("a parameter", "chunked;ext=val"), ("quotes", "\"chunked\""), ("nothing", ""), ("a comma only", ","),
        ("a space in it", "chu nked"), ("a vertical tab", "\u{0B}chunked"), ("a form feed", "\u{0C}chunked"),
        ("a NUL", "chunked\0"), ("a NUL before it", "\0chunked"), ("a bare CR before it", "\rchunked"),
        ("a bare LF before it", "\nchunked"), ("a no-break space", "\u{A0}chunked"), ("a DEL", "chunked\u{7F}"),
        ("a fold before it", "\r\n chunked"), ("a fold with a tab", "\r\n\tchunked"),
        ("a fold behind", "chunked\r\n "),
        ("a second field identity", "chunked\r\nTransfer-Encoding: identity"),
        ("a second field chunked", "chunked\r\nTransfer-Encoding: chunked"),
        ("a first field identity", "identity\r\nTransfer-Encoding: chunked"),
        ("a second field in other letters", "x\r\ntransfer-Encoding: chunked"),
        ("a second field, empty", "chunked\r\nTransfer-Encoding: "),
        ("a second field with a space before the colon", "chunked\r\nTransfer-Encoding : x"),
    ]

    /// A coding with a chunked body, and with a body whose length is told as well.
    private static func coded(_ coding: (name: String, value: String)) -> [FramingProbe] {
        let name = "Transfer-Encoding with \(coding.name)"
        let field = "Transfer-Encoding: \(coding.value)"
        return [
            .length(name, field, body: chunkedEvent, .refused([400, 501])),
            .length("\(name), and Content-Length", "\(field)\r\nContent-Length: {n}", .refused([400, 501])),
        ]
    }

    private static let otherCodings: [FramingProbe] = [
        .length(
            "Transfer-Encoding with a space before the colon",
            "Transfer-Encoding : chunked",
            body: chunkedEvent
        ),
        .length(
            "Transfer-Encoding with a tab before the colon",
            "Transfer-Encoding\t: chunked",
            body: chunkedEvent
        ),
        .length("Transfer-Encoding on a line that begins with a space", " Transfer-Encoding: chunked"),
        .length("Transfer-Encoding behind a bare LF", "X-A: b\nTransfer-Encoding: chunked", body: chunkedEvent),
        .length("Transfer-Encoding behind a bare CR", "X-A: b\rTransfer-Encoding: chunked", body: chunkedEvent),
        .raw(
            "Transfer-Encoding in HTTP/1.0",
            "POST {T} HTTP/1.0\r\n{H}{C}Transfer-Encoding: chunked\r\n\r\n" + chunkedEvent
        ),
        .raw(
            "Transfer-Encoding and Content-Length in HTTP/1.0",
            "POST {T} HTTP/1.0\r\n{H}{C}Transfer-Encoding: chunked\r\nContent-Length: {n}\r\n\r\n{E}"
        ),
        .raw(
            "Transfer-Encoding in HTTP/1.0 that would go on",
            "POST {T} HTTP/1.0\r\n{H}{C}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + chunkedEvent
        ),
    ]

    /// The event as a chunked body.
    static let chunkedEvent = "{x}\r\n{E}\r\n0\r\n\r\n"
}
