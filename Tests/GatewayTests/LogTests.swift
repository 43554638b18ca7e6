import ServerFixtures
import Testing

extension EndToEnd {
    /// S-18: nothing that comes from outside can forge a line of the log.
    @Suite(.serialized) struct LogTests {
        static let hostile = [
            "x\n{\"level\":\"forged\"}", "a\r\nb", "\u{1B}[2J\u{1B}[31m", "\u{202E}txet", "\u{2028}\u{2029}\u{85}",
            "\"},{\"level\":\"forged\"", "\\\"", "\u{0}", "{{", "%s%n", String(repeating: "L", count: 10_000), "é😀",
        ]

        @Test func `S-18: each publish has exactly one line, and every line is one JSON object`() throws {
            let stack = try GatewayStack(NATSServer.standard, settings: ["LOG_LEVEL": "debug"])
            var publishes: [String] = []
            var others: [String] = []
            for text in Self.hostile {
                for var request in requests(with: text) {
                    let id = uniqueID()
                    request.headers.append(("X-Request-Id", id))
                    #expect(try stack.exchange(request).status < 500)
                    if request.method == "POST" { publishes.append(id) } else { others.append(id) }
                }
            }
            stack.gateway.terminate()
            #expect(stack.gateway.waitForExit())
            let lines = stack.gateway.log
            for line in lines {
                let json = try? WireJSON(parsing: Array(line.utf8))
                #expect(json?["level"].string != nil && json?["msg"].string != nil, "\(line.prefix(300))")
                #expect(json?["level"].string != "forged")
                #expect(line.utf8.count < 4096)
                let forging: [Unicode.Scalar] = ["\u{202E}", "\u{85}", "\u{2028}", "\u{2029}"]
                #expect(!line.unicodeScalars.contains { $0.value < 32 || forging.contains($0) })
            }
            for id in publishes { #expect(lines.filter { $0.contains(id) }.count == 1, "\(id)") }
            for id in others { #expect(lines.filter { $0.contains(id) }.count <= 1, "\(id)") }
        }

        /// The text as an attribute in JSON, as the type of an event, and as a path.
        private func requests(with text: String) -> [HTTPRequest] {
            let path = text.utf8.map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined().prefix(6000)
            return [
                TestEvent(type: text).structured(), TestEvent(attributes: [("subject", quoted(text))]).structured(),
                HTTPRequest("GET", "/v1/\(path)"),
            ]
        }

        @Test func `a password in NATS_URL is never written`() throws {
            let port = try freePort()
            let gateway = try GatewayProcess(natsURL: "nats://user:s3cr3tpassword@127.0.0.1:\(port)", until: .live)
            _ = try gateway.exchange(TestEvent().structured())
            let health = try gateway.get("/health").text
            gateway.terminate()
            #expect(gateway.waitForExit())
            #expect(!gateway.log.isEmpty)
            #expect(!gateway.log.contains { $0.contains("s3cr3tpassword") })
            #expect(!health.contains("s3cr3tpassword"))
        }
    }
}
