import NIOSSL

/// Whether a certificate is for a name (RFC 9525 §6).
///
/// NIOSSL also takes a certificate for the address that a name resolved to. That would let whoever rules the name's DNS
/// present one for an address of their own, so the name itself is looked for once more before anything is sent.
enum SinkIdentity {
    /// - Parameter name: in lower case, without a trailing dot.
    static func isFor(_ name: String, _ certificate: NIOSSLCertificate?) -> Bool {
        guard let certificate else { return false }
        return certificate._subjectAlternativeNames().contains { alternative in
            alternative.nameType == .dnsName && matches(name, String(decoding: alternative.contents, as: UTF8.self))
        }
    }

    /// Whether a name of a certificate, whose first label may be `*`, covers `name`.
    private static func matches(_ name: String, _ pattern: String) -> Bool {
        var pattern = pattern.lowercased()
        if pattern.hasSuffix(".") { pattern.removeLast() }
        guard pattern.hasPrefix("*.") else { return pattern.utf8.elementsEqual(name.utf8) }
        guard let dot = name.utf8.firstIndex(of: UInt8(ascii: ".")), dot > name.startIndex else { return false }
        return pattern.utf8.dropFirst().elementsEqual(name.utf8[dot...])
    }
}
