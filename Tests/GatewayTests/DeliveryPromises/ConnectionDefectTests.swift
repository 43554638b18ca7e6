import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// Defect 10: connections that are not made again, certificates that are not checked, events that vanish unread.
    @Suite(.serialized) struct ConnectionDefectTests {
        @Test(arguments: NATSServer.available)
        func `defect 10: after the server and the consumer were gone delivery goes on by itself, and skips nothing`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryClient.make(binary, settings: DeliveryPool.settings)
            let stack = client.stack
            let receiver = try WebhookReceiver()
            try client.push(to: receiver, config: [#""ackWait":5"#])
            var events = [TestEvent()]
            try client.publish(events[0])
            #expect(receiver.hasGot(1))
            stack.server.kill()
            #expect(waitUntil(timeout: .seconds(30)) { stack.gateway.status(of: "/health/ready") == 503 })
            try stack.server.start()
            #expect(stack.waitUntilReady())
            events.append(TestEvent())
            try client.publish(events[1])
            #expect(receiver.hasGot(2))

            #expect(try client.isSettled())
            let deletion = "CONSUMER.DELETE.SLUICE_EVENTS.\(client.tenant)_s"
            let deleted = try stack.reader().api(deletion)
            // 10051: nats-server 2.9 could not remove its folder while it wrote there; the consumer is gone all the same.
            let isGone = deleted["success"].bool == true || deleted["error"]["err_code"].int == 10_051
            #expect(isGone, "\(deleted.text)")
            events.append(TestEvent())
            try client.publish(events[2])
            #expect(waitUntil(timeout: .seconds(90)) { receiver.copiesByID[events[2].id] != nil })
            #expect(Set(receiver.copiesByID.keys) == Set(events.map(\.id)))
        }

        @Test func `defect 10: a malformed message is a dead letter with its bytes, not an acknowledgement`() throws {
            let client = try DeliveryClient.make(settings: DeliveryPool.settings)
            let receiver = try WebhookReceiver()
            try client.push(to: receiver)
            try client.publishNatively(Array("{ not json".utf8))
            let good = TestEvent()
            try client.publish(good)
            #expect(receiver.hasGot(1))
            #expect(receiver.posts.first?["ce-id"] == good.id)
            let letter = try client.letters()[0]
            #expect(letter["reason"].string == "undeliverable")
            #expect(letter["payloadBase64"].string == Data("{ not json".utf8).base64EncodedString())
            #expect(try client.isSettled())
        }

        @Test func `defect 10: a sink whose certificate nobody vouches for is told nothing`() throws {
            let sink = try TLSSink()
            var settings = DeliveryPool.settings
            let stranger = try DeliveryClient.make(settings: settings)
            let event = TestEvent()
            let url = "https://localhost:\(sink.port)/"
            let hook = DeliveryClient.hook(url, config: [#""maxAttempts":2,"backoff":[0]"#])
            try stranger.subscribe("s", hook)
            try stranger.publish(event)
            let letter = try stranger.letters()[0]
            #expect(letter["reason"].string == "retries-exhausted")
            #expect(letter["lastError"].string?.lowercased().contains("certificate") == true, "\(letter.text)")
            #expect(!sink.output.contains("POST"))
            // The same sink, vouched for by configuration.
            settings["SINK_CA_FILE"] = sink.certificate
            let friend = try DeliveryClient.make(settings: settings)
            try friend.subscribe("s", hook)
            try friend.publish(event)
            #expect(
                waitUntil(timeout: .seconds(30)) { sink.output.lowercased().contains("ce-id: \(event.id)") },
                "\(sink.output)"
            )
        }
    }
}

/// A TLS server with a certificate that it has made itself; it writes down what it is told.
private final class TLSSink {
    let port: UInt16
    let certificate: String
    private let directory = TemporaryDirectory()
    private let server: ChildProcess

    init() throws {
        certificate = "\(directory.path)/certificate.pem"
        let key = "\(directory.path)/key.pem"
        let made = try Program.run(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
                certificate,
            ]
        )
        try #require(made.status == 0, "\(made.output)")
        let port = try freePort()
        self.port = port
        let program = "\(directory.path)/sink.py"
        try Data(Self.program.utf8).write(to: URL(fileURLWithPath: program))
        let arguments = [program, "\(port)", certificate, key]
        server = try #require(
            ChildProcess(try PythonProgram.interpreter(), arguments, logPath: "\(directory.path)/output")
        )
        try #require(waitUntil(timeout: .seconds(30)) { TestSocket.connect(port: port) != nil }, "\(server.log)")
    }

    /// What came in the clear behind TLS.
    var output: String { server.log }

    private static let program = #"""
        import http.server, ssl, sys

        class Sink(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                print("POST", self.path, *("%s: %s" % item for item in self.headers.items()), sep="\n", flush=True)
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[2:4])
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Sink)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.serve_forever()
        """#
}
