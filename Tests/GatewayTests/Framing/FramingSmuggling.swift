/// A second request in the body of the first, for every two ways to tell where the first one ends.
extension FramingProbe {
    private static let post = "POST {T} HTTP/1.1\r\n{H}{C}"

    /// Content-Length counts the second request as body, chunked does not.
    private static func clTE(_ name: String, length: String = "{s}", coding: String = "chunked") -> FramingProbe {
        .raw(
            "CL.TE: \(name)",
            "\(post)Content-Length: \(length)\r\nTransfer-Encoding: \(coding)\r\n\r\n0\r\n\r\n{S}",
            .refused([400, 501])
        )
    }

    static let smuggling: [FramingProbe] = [
        clTE("plain"),
        clTE("a plus", length: "+{s}"),
        clTE("letters", length: "{s}x"),
        clTE("trailing space", coding: "chunked "),
        clTE("leading comma", coding: ", chunked"),
        clTE("other letters", coding: "Chunked"),
        clTE("folded", coding: "\r\n chunked"),
        clTE("twice", coding: "chunked\r\nTransfer-Encoding: identity"),
        clTE("length 0", length: "0"),
        clTE("length 4", length: "4"),
        clTE("length 6, one byte behind", length: "6"),
        clTE("with Connection: close", coding: "chunked\r\nConnection: close"),
        clTE("Content-Length named by Connection", coding: "chunked\r\nConnection: content-length"),
        clTE("Transfer-Encoding named by Connection", coding: "chunked\r\nConnection: transfer-encoding"),
        .raw(
            "TE.CL: the second request as a chunk",
            "\(post)Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
                + "{x}\r\n{E}\r\n0\r\n\r\n{S}"
        ),
        .raw(
            "TE.CL: the length beyond the last chunk",
            "\(post)Transfer-Encoding: chunked\r\nContent-Length: 30\r\n\r\n"
                + "0\r\n\r\nX{S}"
        ),
        .raw(
            "TE.CL: with Connection: close",
            "\(post)Transfer-Encoding: chunked\r\nConnection: close\r\n"
                + "Content-Length: 5\r\n\r\n0\r\n\r\n{S}"
        ),
        .raw("CL.CL", "\(post)Content-Length: 4\r\nContent-Length: {s}\r\n\r\n{S}"),
        .raw("CL.CL: 0 and all", "\(post)Content-Length: 0\r\nContent-Length: {s}\r\n\r\n{S}"),
        .raw("CL.CL: a list", "\(post)Content-Length: 0, {s}\r\n\r\n{S}"),
        .chunks("a chunk size with a sign", "+0\r\n\r\n{S}"),
        .chunks("a chunk size with 0x", "0x0\r\n\r\n{S}"),
        .chunks("a chunk that ends with other bytes than CRLF", "1\r\nxAA0\r\n\r\n{S}"),
        .chunks("a chunk extension with a bare LF", "0;\n\r\n{S}"),
        .chunks("a chunk extension with a bare CR", "2;\rxx\r\n0\r\n\r\n{S}"),
        .chunks("a chunk size ended by a bare CR", "0\r\r\n{S}"),
        // The second request is a body: 0.CL and CL.0.
        FramingProbe(
            "0.CL: GET with a body",
            "GET /health/live HTTP/1.1\r\n{H}Content-Length: {s}\r\n\r\n{S}",
            .answered(200),
            other: .answered(200)
        ),
        FramingProbe(
            "0.CL: HEAD with a body",
            "HEAD /health/live HTTP/1.1\r\n{H}Content-Length: {s}\r\nConnection: close\r\n\r\n{S}",
            .last(200),
            other: .last(200)
        ),
        FramingProbe(
            "0.CL: OPTIONS with a body",
            "OPTIONS /v1/events HTTP/1.1\r\n{H}Content-Length: {s}\r\n\r\n{S}",
            .answered(200),
            other: .answered(200)
        ),
        FramingProbe(
            "0.CL: DELETE with a chunked body",
            "DELETE /v1/events HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            .answered(405),
            other: .answered(405)
        ),
        FramingProbe(
            "0.CL: a path that is not there",
            "POST /none HTTP/1.1\r\n{H}Content-Length: {s}\r\n\r\n{S}",
            .answered(404),
            other: .answered(404)
        ),
        FramingProbe(
            "0.CL: a body that is no event",
            "POST /v1/events HTTP/1.1\r\n{H}{C}Content-Length: {s}\r\n\r\n{S}",
            .goesOn(400),
            other: .goesOn(400)
        ),
        FramingProbe(
            "CL.0: bytes behind an empty body are the next request, a bad one",
            "GET /health/live HTTP/1.1\r\n{H}Content-Length: 0\r\n\r\nX Y Z\r\n\r\n",
            .sequence([200, 400], stored: 0),
            other: .sequence([200, 400], stored: 0)
        ),
        .length(
            "Expect: 100-continue with the body at once",
            "Expect: 100-continue\r\nContent-Length: +{s}",
            body: "{S}"
        ),
        FramingProbe(
            "Expect: another thing, with the second request as body",
            "POST {T} HTTP/1.1\r\n{H}{C}Expect: 200-ok\r\nContent-Length: {s}\r\n\r\n{S}",
            .refused([417]),
            other: .refused([417])
        ),
        FramingProbe(
            "Content-Type that is refused, with the second request as body",
            "POST /v1/events HTTP/1.1\r\n{H}Content-Type: text/plain\r\nContent-Length: {s}\r\n\r\n{S}",
            .goesOn(415),
            other: .goesOn(415)
        ),
    ]
}
