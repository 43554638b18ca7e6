import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// Ways in which a dead letter could go missing, or say too much.
    @Suite(.serialized, .deliveryStacks) struct LostLetterTests {
        @Test(arguments: NATSServer.available)
        func `an event that fails again after its letter was deleted is a dead letter again`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver(status: 400)
            let event = TestEvent()
            let sequence = try client.publish(event)[0]
            for round in 1...2 {
                try client.push(to: receiver, config: ["\"startAt\":\(sequence)"])
                #expect(receiver.hasGot(round))
                #expect(try client.isSettled())
                let letters = try client.deadLetters("s")
                #expect(letters.count == 1, "round \(round): settled, and neither delivered nor dead-lettered")
                for letter in letters {
                    let target = "/v1/dead-letters/\(letter["sequence"].int ?? 0)"
                    #expect(try client.call("DELETE", target).status == 204)
                }
                #expect(try client.call("DELETE", "/v1/subscriptions/s").status == 204)
            }
        }

        @Test(arguments: NATSServer.available)
        func `a dead letter sink misses no letter of a subscription that has just been made`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            let receiver = try WebhookReceiver(status: 400)
            let letters = try WebhookReceiver()
            let sequence = try client.publish(TestEvent())[0]
            for number in 1...10 {
                let config = ["\"startAt\":\(sequence)", "\"deadLetter\":{\"sink\":\(quoted(letters.url))}"]
                try client.push("s\(number)", to: receiver, config: config)
            }
            #expect(receiver.hasGot(10))
            for number in 1...10 { #expect(try client.letters("s\(number)").count == 1) }
            let all = Set((1...10).map { "s\($0)" })
            let came = waitUntil(timeout: .seconds(20)) {
                Set(letters.posts.compactMap { $0["sluice-subscription"] }) == all
            }
            #expect(came, "\(letters.posts.count) of 10")
        }

        @Test func `S-25: a sink that echoes what it is sent makes no secret readable`() throws {
            let client = try DeliveryPool.client()
            let echo = try EchoSink()
            let signing = "whsec_" + Data("canary-signing-0123456789abcdef".utf8).base64EncodedString()
            let credentials = [
                ("plain", #"{"credentialtype":"PLAIN","identifier":"user","secret":"canary-password"}"#),
                ("token", #"{"credentialtype":"ACCESSTOKEN","accesstoken":"canary-token"}"#),
                ("header", #"{"credentialtype":"HEADER","name":"X-Key","value":"canary-header"}"#),
            ]
            let basic = Data("user:canary-password".utf8).base64EncodedString()
            for (id, credential) in credentials {
                let hook = DeliveryClient.hook(
                    "http://127.0.0.1:\(echo.port)/\(id)",
                    ["\"sinkcredential\":\(credential)"],
                    config: ["\"signing\":{\"secrets\":[\(quoted(signing))]}"]
                )
                try client.subscribe(id, hook)
            }
            try client.publish(TestEvent())
            for (id, _) in credentials {
                let letter = try client.letters(id)[0].text
                #expect(letter.contains("the sink answered 400"), "\(letter)")
                let shown = [
                    letter, try client.status(id).text, try client.call("GET", "/v1/subscriptions/\(id)").text,
                ]
                for text in shown {
                    #expect(!text.contains("canary-") && !text.contains(basic), "\(id): \(text)")
                }
            }
            #expect(!client.stack.gateway.log.contains { $0.contains("canary-") || $0.contains(basic) })
        }
    }
}

/// A sink that refuses everything with 400 and shows the fields that it was sent, as debugging pages do.
private final class EchoSink {
    let port: UInt16
    private let directory = TemporaryDirectory()
    private let server: ChildProcess

    init() throws {
        let port = try freePort()
        self.port = port
        let program = "\(directory.path)/echo.py"
        try Data(Self.program.utf8).write(to: URL(fileURLWithPath: program))
        let interpreter = try PythonProgram.interpreter()
        server = try #require(
            ChildProcess(interpreter, [program, "\(port)"], logPath: "\(directory.path)/log")
        )
        try #require(waitUntil(timeout: .seconds(30)) { TestSocket.connect(port: port) != nil }, "\(server.log)")
    }

    private static let program = #"""
        import http.server, sys

        class Sink(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                secret = [text for name, text in self.headers.items() if name.lower() in ("authorization", "x-key")]
                body = ("refused: " + " ".join(secret)).encode()
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(400)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Sink).serve_forever()
        """#
}
