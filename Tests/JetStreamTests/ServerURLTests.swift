import JetStream
import Testing

@Suite struct ServerURLTests {
    @Test(arguments: [
        ("nats://localhost", "localhost", 4222), ("nats://127.0.0.1:14222/", "127.0.0.1", 14222),
        ("example.com:5", "example.com", 5), ("nats://[::1]:4223", "::1", 4223), ("NATS://host", "host", 4222),
    ])
    func `host and port are read`(text: String, host: String, port: UInt16) throws {
        let url = try ServerURL(text)
        #expect(url.host == host)
        #expect(url.port == port)
        #expect(url.user == nil)
    }

    @Test func `S-25: the password is used but never shown`() throws {
        let url = try ServerURL("nats://bob:s%40cret@host:1")
        #expect(url.user == "bob")
        #expect(url.password == "s@cret")
        #expect(url.description == "nats://host:1")
    }

    @Test(arguments: [
        ("tls://h", ServerURL.Problem.scheme("tls")), ("nats://", .host), ("nats://h:0", .port), ("nats://h:", .port),
        ("nats://h:65536", .port), ("nats://h:+1", .port), ("nats://a b", .host), ("nats://h/path", .host),
        ("nats://[::1", .host), ("nats://:x@h", .credentials), ("nats://a%0d@h", .credentials),
        ("nats://a%2@h", .credentials),
    ])
    func `what is no server's address is refused with the reason`(text: String, problem: ServerURL.Problem) {
        #expect(throws: problem) { try ServerURL(text) }
    }
}
