import ServerFixtures
import Testing

extension EndToEnd {
    /// a 202 needs a PubAck of the expected stream with a sequence above 0; every other answer is told as it is.
    @Suite(.serialized) struct AcknowledgementTests {
        /// What the gateway hears in place of the PubAck, and the status that is true then.
        struct Reply: Sendable, CustomTestStringConvertible {
            let testDescription: String
            let status: Int
            let rule: GatewayMiddleman.Rule

            init(_ name: String, _ status: Int, stored: Bool = true, _ answers: GatewayMiddleman.Answer...) {
                (testDescription, self.status) = (name, status)
                rule = GatewayMiddleman.Rule(forwards: stored) { _ in answers }
            }

            init(_ name: String, _ status: Int, _ answers: @escaping @Sendable ([UInt8]) -> [GatewayMiddleman.Answer]) {
                (testDescription, self.status) = (name, status)
                rule = GatewayMiddleman.Rule(answers: answers)
            }
        }

        static func text(_ text: String) -> GatewayMiddleman.Answer { .payload(Array(text.utf8)) }

        static func error(_ code: Int, _ status: Int, _ description: String = "scripted") -> GatewayMiddleman.Answer {
            let error = "{\"code\":\(status),\"err_code\":\(code),\"description\":\(quoted(description))}"
            return text("{\"error\":\(error),\"stream\":\"SLUICE_EVENTS\",\"seq\":0}")
        }

        /// A PubAck of the expected stream with these other members.
        static func ack(_ members: String) -> GatewayMiddleman.Answer {
            text("{\"stream\":\"SLUICE_EVENTS\",\(members)}")
        }

        static let replies = [
            Reply("nothing at all", 504),
            Reply("another stream", 504, text("{\"stream\":\"OTHER\",\"seq\":7}")),
            Reply("no stream", 504, text("{\"seq\":7}")),
            Reply("no sequence", 504, text("{\"stream\":\"SLUICE_EVENTS\"}")),
            Reply("sequence 0", 504, ack("\"seq\":0")),
            Reply("sequence 0, said to be a duplicate", 504, ack("\"seq\":0,\"duplicate\":true")),
            Reply("a negative sequence", 504, ack("\"seq\":-1")),
            Reply("a sequence that is text", 504, ack("\"seq\":\"7\"")),
            Reply("a sequence beyond 64 bits", 504, ack("\"seq\":18446744073709551616")),
            Reply("a truncated answer", 504, text("{\"stream\":\"SLUICE_EVENTS\",\"seq\":1")),
            Reply("an error beside a sequence", 503, ack("\"seq\":7,\"error\":{\"code\":503,\"err_code\":10008}")),
            Reply("half of an answer", 504, text("{\"stream\":\"SLUI")),
            Reply("no JSON", 504, text("+OK")),
            Reply("nothing in it", 504, text("")),
            Reply("duplicate in process (10158)", 504, stored: false, error(10158, 409)),
            Reply("stream full (10077)", 507, stored: false, error(10077, 503, "maximum messages exceeded")),
            Reply("insufficient resources (10023)", 507, stored: false, error(10023, 503)),
            Reply("storage exceeded (10047)", 507, stored: false, error(10047, 500)),
            Reply("JetStream away (10008)", 503, stored: false, error(10008, 503)),
            Reply("stream offline (10118)", 503, stored: false, error(10118, 500)),
            Reply("too many requests (10167)", 503, stored: false, error(10167, 429)),
            Reply("nobody listens", 503, stored: false, .noResponders),
            Reply("message too large (10054)", 413, stored: false, error(10054, 400)),
            Reply("headers too large (10097)", 431, stored: false, error(10097, 400)),
        ]

        /// One gateway behind a middleman; the middleman's thread ends with it.
        static func withMiddleman(
            settings: [String: String] = ["PUBLISH_TIMEOUT": "1"],
            _ body: (GatewayProcess, GatewayMiddleman, NATSServer) throws -> Void
        ) throws {
            let server = try NATSServer()
            let middleman = try GatewayMiddleman(serverPort: server.port)
            defer { middleman.stop() }
            let gateway = try GatewayProcess(natsURL: middleman.url, settings: settings)
            middleman.accept()
            try body(gateway, middleman, server)
            #expect(middleman.strangeLines == [])
        }

        @Test func `R-01: no answer but a valid PubAck makes a 202`() throws {
            // "Nobody listens" is told after three tries within this time, also on a busy machine.
            try Self.withMiddleman(settings: ["PUBLISH_TIMEOUT": "3"]) { gateway, middleman, _ in
                for reply in Self.replies {
                    middleman.setRule(reply.rule)
                    let answers = try post(50, to: gateway)
                    let note: Comment = "\(reply.testDescription): \(answers[0].status) \(answers[0].text)"
                    #expect(answers.allSatisfy { $0.status == reply.status }, note)
                    #expect(answers.allSatisfy { $0["Content-Type"] == "application/problem+json" }, note)
                    if [503, 504].contains(reply.status) {
                        #expect(answers.allSatisfy { Int($0["Retry-After"] ?? "") ?? 0 >= 1 }, note)
                    }
                    if reply.status == 504 {
                        #expect(answers[0].json["type"].string == "urn:sluice:problem:outcome-unknown", note)
                        #expect(answers[0].json["detail"].string?.contains("safe") == true, note)
                    }
                    middleman.setRule(.pass)
                    let after = try gateway.exchange(TestEvent().structured())
                    #expect(after.status == 202, "\(note), then \(after.status) \(after.text)")
                }
            }
        }

        @Test func `R-01: an error of the stream's settings is a 5xx and never a 202`() throws {
            try Self.withMiddleman { gateway, middleman, _ in
                for code in [10060, 10109, 10059, 10999] {
                    middleman.setRule(Reply("", 500, stored: false, Self.error(code, 400)).rule)
                    let answer = try post(1, to: gateway)[0]
                    #expect(answer.status >= 500, "\(code): \(answer.text)")
                }
            }
        }

        @Test func `R-01: a PubAck that comes twice, or after the answer, is answered once and confuses nobody`() throws
        {
            try Self.withMiddleman { gateway, middleman, _ in
                middleman.setRule(.init { [.payload($0), .payload($0)] })
                #expect(try post(50, to: gateway).allSatisfy { $0.status == 202 })
                middleman.setRule(.init { [.held($0)] })
                let connection = try gateway.connect()
                #expect(try connection.exchange(TestEvent().structured()).status == 504)
                middleman.setRule(.pass)
                middleman.release()
                #expect(!connection.hasSomethingToRead(within: .milliseconds(200)))
                for _ in 0..<20 {
                    let event = TestEvent()
                    let answer = try connection.exchange(event.structured())
                    #expect(answer.status == 202)
                    #expect(answer.json["id"].string == event.id)
                }
            }
        }

        @Test func `R-07: a duplicate whose original is not yet stored is asked again until it is`() throws {
            try Self.withMiddleman(settings: ["PUBLISH_TIMEOUT": "5"]) { gateway, middleman, server in
                let event = TestEvent()
                middleman.setRule(
                    .init(forwards: false) { _ in [Self.ack("\"seq\":0,\"duplicate\":true")] }
                )
                let connection = try gateway.connect()
                try connection.send(event.structured())
                #expect(waitUntil(timeout: .seconds(10)) { middleman.published.count >= 1 })
                middleman.setRule(.pass)
                let answer = try connection.receive()
                #expect(answer.status == 202, "\(answer.text)")
                let sequence = try #require(answer.json["sequence"].int)
                #expect(try StreamReader(url: server.url).message(sequence)?.event().attributes["id"] == event.id)
            }
        }

        /// Posts this many events at once, each on its connection.
        private func post(_ count: Int, to gateway: GatewayProcess) throws -> [HTTPResponse] {
            let connections = try (0..<count).map { _ in try gateway.connect() }
            for connection in connections { try connection.send(TestEvent().structured()) }
            return try connections.map { try $0.receive() }
        }
    }
}
