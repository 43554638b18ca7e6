import NIOHTTP1

/// What RFC 9112 demands of every request beyond what the parser checks, and what it makes of the request.
enum RequestRules {
    /// Brings a target in absolute form into origin form (RFC 9112 §3.2.2): servers must accept both.
    ///
    /// - Throws: the problem of a target that is in none of the forms its method may have, or in absolute form with an
    ///   authority that is not that of the Host field: what stood before this server may have looked at the other one.
    static func normalise(_ head: inout HTTPRequestHead) throws(Problem) {
        guard head.uri.utf8.first != UInt8(ascii: "/") else { return }
        for (scheme, port) in [("http://", ":80"), ("https://", ":443")] as [(StaticString, StaticString)]
        where head.uri.hasASCIIPrefix(scheme) {
            let rest = head.uri.dropFirst(scheme.utf8CodeUnitCount)
            let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
            try check(authority: rest[..<end], host: head.headers.first(name: "host"), defaultPort: port)
            let path = rest[end...]
            head.uri = path.first == "/" ? String(path) : "/" + path
            return
        }
        if head.method == .CONNECT || head.method == .OPTIONS && head.uri == "*" { return }
        throw malformed("the request target \(head.uri.quotedForDetail) is not in a form that its method may have")
    }

    private static func check(authority: Substring, host: String?, defaultPort: StaticString) throws(Problem) {
        guard isHost(authority) else {
            throw malformed("the request target's authority \(authority.quotedForDetail) is not valid")
        }
        guard let host else { return }
        func withoutPort(_ text: some StringProtocol) -> String {
            let lower = text.lowercased()
            let port = defaultPort.description
            return lower.hasSuffix(port) ? String(lower.dropLast(port.count)) : lower
        }
        if withoutPort(authority) != withoutPort(host) {
            throw malformed("the Host field is not the authority of the request target")
        }
    }

    /// Whether the parser stops after this request, since what follows would be another protocol.
    static func endsHTTP(_ head: HTTPRequestHead) -> Bool {
        head.method == .CONNECT || head.headers.contains(name: "upgrade")
    }

    /// Checks the version (§2.3), `Host` (§3.2) and `Transfer-Encoding` (§6.1).
    ///
    /// - Parameter host: The first Host field.
    /// - Throws: the problem to answer with; the connection must end, since it is not certain where the request does.
    static func check(
        _ head: HTTPRequestHead,
        hosts: Int,
        host: String?,
        transferCoding: String?
    ) throws(Problem) {
        guard head.version.major == 1 else { throw malformed("\(head.version) is not spoken here; HTTP/1.1 is") }
        if hosts != 1 && (head.isHTTP11 || hosts > 1) {
            throw malformed("the Host field is \(hosts == 0 ? "missing" : "given more than once")")
        }
        if let host, !isHost(host) { throw malformed("the Host field \(host.quotedForDetail) is not valid") }
        guard let transferCoding else { return }
        if !transferCoding.isASCIIEqual(to: "chunked") {
            throw malformed("Transfer-Encoding \(transferCoding.quotedForDetail) is not supported; chunked is")
        }
        if !head.isHTTP11 { throw malformed("HTTP/1.0 has no Transfer-Encoding") }
    }

    /// Whether this is a name or an address and perhaps a port (RFC 3986 §3.2.2), without the separators that a name
    /// in the Domain Name System cannot have, and not empty.
    static func isHost(_ text: some StringProtocol) -> Bool {
        var bytes = text.utf8.makeIterator()
        guard var byte = bytes.next() else { return false }
        if byte == UInt8(ascii: "[") {
            var count = 0
            repeat {
                guard let next = bytes.next() else { return false }
                byte = next
                count += 1
            } while isAddressByte(byte)
            guard byte == UInt8(ascii: "]"), count > 2 else { return false }
            guard let next = bytes.next() else { return true }
            byte = next
        } else {
            guard isNameByte(byte) else { return false }
            repeat {
                guard let next = bytes.next() else { return true }
                byte = next
            } while isNameByte(byte)
        }
        if byte == UInt8(ascii: ":") {
            repeat {
                guard let next = bytes.next() else { return true }
                byte = next
            } while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        // White space behind a value is none of it (RFC 9110 §5.5); the parser leaves it there.
        repeat {
            guard byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") else { return false }
            guard let next = bytes.next() else { return true }
            byte = next
        } while true
    }

    private static func isAddressByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: ":"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"), UInt8(ascii: "%"):
            true
        default: false
        }
    }

    /// A request after which the connection ends.
    static func malformed(_ detail: String) -> Problem {
        Problem(kind: .malformedRequest, detail: detail, closes: true)
    }
}
