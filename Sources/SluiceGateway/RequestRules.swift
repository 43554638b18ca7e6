import NIOHTTP1

/// What RFC 9112 demands of every request beyond what the parser checks, and what it makes of the request.
enum RequestRules {
    /// Brings a target in absolute form into origin form (RFC 9112 §3.2.2): servers must accept both.
    static func normalise(_ head: inout HTTPRequestHead) {
        guard head.uri.utf8.first != UInt8(ascii: "/") else { return }
        for scheme in ["http://", "https://"] as [StaticString] where head.uri.hasASCIIPrefix(scheme) {
            let rest = head.uri.dropFirst(scheme.utf8CodeUnitCount)
            guard let end = rest.firstIndex(where: { $0 == "/" || $0 == "?" }) else {
                head.uri = "/"
                return
            }
            head.uri = rest[end] == "/" ? String(rest[end...]) : "/" + rest[end...]
            return
        }
    }

    /// Whether the parser stops after this request, since what follows would be another protocol.
    static func endsHTTP(_ head: HTTPRequestHead) -> Bool {
        head.method == .CONNECT || head.headers.contains(name: "upgrade")
    }

    /// Checks `Host` (§3.2) and `Transfer-Encoding` (§6.1).
    ///
    /// - Throws: the problem to answer with; the connection must end, since it is not certain where the request does.
    static func check(_ head: HTTPRequestHead, hosts: Int, transferCoding: String?) throws(Problem) {
        if hosts != 1 && head.isHTTP11 {
            throw Problem(
                kind: .malformedRequest,
                detail: hosts == 0 ? "the Host field is missing" : "the Host field is given more than once",
                closes: true
            )
        }
        if let transferCoding, !transferCoding.isASCIIEqual(to: "chunked") {
            throw Problem(
                kind: .malformedRequest,
                detail: "Transfer-Encoding \(transferCoding.quotedForDetail) is not supported; chunked is",
                closes: true
            )
        }
    }
}
