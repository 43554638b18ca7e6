import NIOSSL

/// How sinks are trusted: TLS 1.2 or later, certificate and name verified, the system's roots and more if given.
///
/// Safe from any thread, one for the whole process.
package struct WebhookTLS: Sendable {
    /// Certificates that cannot be read, and why.
    package struct Fault: Error, Sendable, Equatable {
        package let reason: String
    }

    let context: NIOSSLContext

    /// Reads the roots.
    ///
    /// - Parameters:
    ///   - extraRoots: a PEM file of further certificate authorities.
    ///   - allowsHTTP2: offer HTTP/2 beside HTTP/1.1.
    package init(extraRoots: String? = nil, allowsHTTP2: Bool = true) throws(Fault) {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.certificateVerification = .fullVerification
        configuration.applicationProtocols = allowsHTTP2 ? ["h2", "http/1.1"] : ["http/1.1"]
        if let extraRoots { configuration.additionalTrustRoots = [.file(extraRoots)] }
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw Fault(reason: "the trusted certificates cannot be read: \(FailureText.clean("\(error)"))")
        }
    }
}
