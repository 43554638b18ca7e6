/// The address of a sink: an absolute `http` or `https` URL (RFC 3986), taken apart and normalised; pure.
///
/// Whatever one library may read as another host than the next one does is refused or normalised here: user information,
/// backslashes, percent-encoded and non-ASCII hosts, brackets around a name, zones; numeric hosts are parsed to binary.
package struct SinkURL: Sendable, Hashable {
    /// A URL that cannot be a sink, and why; holds no part of the URL.
    package struct Fault: Error, Sendable, Equatable {
        /// Such as `has user information before the host: use sinkcredential`.
        package let reason: String
    }

    package enum Host: Sendable, Hashable {
        /// A DNS name in lower case without a trailing dot.
        case name(String)
        case address(IPAddress)
    }

    /// Most bytes of a URL.
    package static let bytesMax = 2048

    /// Whether the scheme is `https`.
    package let isSecure: Bool
    package let host: Host
    package let port: UInt16
    /// Path and query as they were written; starts with `/`.
    package let target: String

    /// Reads a URL.
    package init(parsing text: String) throws(Fault) {
        guard text.utf8.count <= Self.bytesMax else { throw Fault(reason: "is longer than \(Self.bytesMax) bytes") }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw Fault(reason: "has characters that are not visible ASCII: write names as xn--… and encode the rest")
        }
        let bytes = Array(text.utf8)
        var rest: ArraySlice<UInt8>
        (isSecure, rest) = try Self.scheme(bytes)
        let end = rest.firstIndex { "/?#\\".utf8.contains($0) } ?? rest.endIndex
        let authority = rest[..<end]
        rest = rest[end...]
        guard !authority.contains(UInt8(ascii: "@")) else {
            throw Fault(reason: "has user information before the host: use sinkcredential")
        }
        let (host, port) = try Self.split(authority)
        self.host = host
        self.port = port ?? (isSecure ? 443 : 80)
        target = try Self.target(rest)
    }

    private static func scheme(_ bytes: [UInt8]) throws(Fault) -> (isSecure: Bool, rest: ArraySlice<UInt8>) {
        let start = String(decoding: bytes.prefix(8), as: UTF8.self).lowercased()
        if start.hasPrefix("https://") { return (true, bytes.dropFirst(8)) }
        if start.hasPrefix("http://") { return (false, bytes.dropFirst(7)) }
        throw Fault(reason: "is not an absolute https or http URL")
    }

    private static func split(_ authority: ArraySlice<UInt8>) throws(Fault) -> (Host, UInt16?) {
        var host = authority
        var port: ArraySlice<UInt8>?
        if authority.first == UInt8(ascii: "[") {
            guard let close = authority.firstIndex(of: UInt8(ascii: "]")) else { throw Fault(reason: "lacks a ]") }
            host = authority[(authority.startIndex + 1)..<close]
            let rest = authority[(close + 1)...]
            guard rest.isEmpty || rest.first == UInt8(ascii: ":") else {
                throw Fault(reason: "has something after the ] that is no port")
            }
            guard let address = IPAddress(v6Text: Array(host)) else {
                throw Fault(reason: "has brackets around something that is no IPv6 address")
            }
            return (.address(address), try number(rest.dropFirst()))
        }
        if let colon = authority.firstIndex(of: UInt8(ascii: ":")) {
            host = authority[..<colon]
            port = authority[(colon + 1)...]
        }
        return (try read(host), try number(port ?? []))
    }

    /// nil if there is none.
    private static func number(_ port: ArraySlice<UInt8>) throws(Fault) -> UInt16? {
        guard !port.isEmpty else { return nil }
        guard port.count <= 5, port.allSatisfy({ (0x30...0x39).contains($0) }),
            let value = UInt16(String(decoding: port, as: UTF8.self)), value > 0
        else { throw Fault(reason: "has a port that is not a number between 1 and 65535") }
        return value
    }

    private static func read(_ host: ArraySlice<UInt8>) throws(Fault) -> Host {
        var name = String(decoding: host, as: UTF8.self).lowercased()
        if let numeric = IPAddress.numericHost(name) {
            guard let address = numeric else {
                throw Fault(reason: "has a host that ends in a number and is no address")
            }
            return .address(address)
        }
        if name.hasSuffix(".") { name.removeLast() }
        guard !name.isEmpty else { throw Fault(reason: "names no host") }
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let isName = labels.allSatisfy { label in
            (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
                && label.allSatisfy(isNameByte)
        }
        guard isName, name.utf8.count <= 253 else { throw Fault(reason: "has a host that is no DNS name") }
        return .name(name)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }

    /// RFC 3986 §3.3 and §3.4: `pchar`, `/` and `?`; every `%` with two hexadecimal digits.
    private static func target(_ rest: ArraySlice<UInt8>) throws(Fault) -> String {
        guard !rest.contains(UInt8(ascii: "#")) else { throw Fault(reason: "has a fragment, which is never sent") }
        var bytes = rest
        while let byte = bytes.popFirst() {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: continue
            case UInt8(ascii: "%"):
                guard bytes.count >= 2, bytes.prefix(2).allSatisfy(isHexadecimal) else {
                    throw Fault(reason: "has a % without two hexadecimal digits")
                }
            default:
                guard "-._~!$&'()*+,;=:@/?".utf8.contains(byte) else {
                    throw Fault(reason: "has a character that must be percent-encoded")
                }
            }
        }
        let text = String(decoding: rest, as: UTF8.self)
        return text.hasPrefix("/") ? text : "/" + text
    }

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
        default: false
        }
    }

    /// The host as it stands in a URL.
    package var hostText: String {
        switch host {
        case .name(let name): name
        case .address(let address): address.family == .v4 ? address.description : "[\(address)]"
        }
    }

    /// The `Host` field (RFC 9110 §7.2): the port only where it is not the scheme's own.
    package var authority: String {
        port == (isSecure ? 443 : 80) ? hostText : "\(hostText):\(port)"
    }
}
