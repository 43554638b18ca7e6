import NIOSSL
import ServerFixtures
import Testing

/// A certificate authority of the test's own, made by `openssl`.
final class TestAuthority: Sendable {
    private let directory = TemporaryDirectory()

    /// The PEM file of its root.
    var rootPath: String { directory.path + "/ca.pem" }

    init() throws {
        try run(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=Test -keyout ca.key -out ca.pem"
        )
    }

    private func run(_ command: String) throws {
        let arguments = command.split(separator: " ").map { argument in
            let text = String(argument)
            return text.contains(".key") || text.contains(".pem") || text.contains(".csr") || text.contains(".ext")
                ? directory.path + "/" + text : text
        }
        let child = try #require(ChildProcess("openssl", arguments, logPath: directory.path + "/log"))
        #expect(waitUntil(timeout: .seconds(60)) { !child.isRunning })
        try #require(child.exitStatus == 0, "\(child.log)")
    }

    /// The TLS of a server with a certificate of this authority.
    ///
    /// - Parameters:
    ///   - names: the subject's alternative names, as openssl writes them.
    ///   - protocols: what the server speaks.
    func serverContext(
        _ names: String = "DNS:localhost,DNS:hooks.example.com,IP:127.0.0.1",
        days: Int = 2,
        protocols: [String] = []
    ) throws -> NIOSSLContext {
        try Array("subjectAltName=\(names)\n".utf8).withUnsafeBytes { bytes in
            try #require(TestFile.write(directory.path + "/san.ext", bytes))
        }
        try run(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=sink -keyout leaf.key -out leaf.csr"
        )
        try run(
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days \(days) -extfile san.ext -out leaf.pem"
        )
        let certificates = try NIOSSLCertificate.fromPEMFile(directory.path + "/leaf.pem")
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificates.map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: directory.path + "/leaf.key", format: .pem))
        )
        configuration.applicationProtocols = protocols
        return try NIOSSLContext(configuration: configuration)
    }
}
