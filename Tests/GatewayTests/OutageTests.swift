import ServerFixtures
import Testing

extension EndToEnd {
    /// and S-01 on the wire between the gateway and NATS.
    @Suite(.serialized) struct OutageTests {
        @Test func `R-04: an event whose PubAck was lost is a 504, and sending it again stores one copy`() throws {
            try AcknowledgementTests.withMiddleman { gateway, middleman, server in
                let (kept, lossy) = ((0..<40).map { _ in TestEvent() }, (0..<20).map { _ in TestEvent() })
                for event in kept { #expect(try gateway.exchange(event.structured()).status == 202) }
                middleman.setRule(.init { _ in [] })
                let connections = try lossy.map { _ in try gateway.connect() }
                for (connection, event) in zip(connections, lossy) { try connection.send(event.structured()) }
                for connection in connections {
                    let answer = try connection.receive()
                    #expect(answer.status == 504, "\(answer.text)")
                    #expect(Int(answer["Retry-After"] ?? "") ?? 0 >= 1)
                }
                middleman.setRule(.pass)
                for event in lossy {
                    let answer = try gateway.exchange(event.structured())
                    #expect(answer.status == 202)
                    #expect(answer.json["duplicate"].bool == true, "the first copy had been stored")
                }
                let copies = try StreamReader(url: server.url).copiesByID()
                #expect(copies == Dictionary(uniqueKeysWithValues: (kept + lossy).map { ($0.id, 1) }))
            }
        }

        @Test func `R-04: a connection on which nothing comes back is given up, with honest answers`() throws {
            try AcknowledgementTests.withMiddleman { gateway, middleman, server in
                middleman.silenceServer(true)
                var run = PublishRun(connections: 50, perConnection: 2)
                try run.send(to: gateway, faultAfter: 0) {}
                #expect(run.status.count == 100)
                #expect(Set(run.status.values).isSubset(of: [503, 504]), "\(Set(run.status.values))")
                #expect(waitUntil(timeout: .seconds(15)) { gateway.status(of: "/health/ready") == 503 })
                #expect(gateway.status(of: "/health/live") == 200)
                middleman.silenceServer(false)
                #expect(waitUntil(timeout: .seconds(30)) { gateway.status(of: "/health/ready") == 200 })
                let stored = try StreamReader(url: server.url).copiesByID()
                for event in run.all where run.status[event.id] == 503 { #expect(stored[event.id] == nil) }
                try run.retryUntilAcknowledged(gateway)
                let copies = try StreamReader(url: server.url).copiesByID()
                #expect(copies.count == 100)
                #expect(copies.values.allSatisfy { $0 == 1 })
            }
        }

        @Test func `an acknowledgement that is a lie is seen by the tests as a lost event`() throws {
            try AcknowledgementTests.withMiddleman { gateway, middleman, server in
                middleman.setRule(.init(forwards: false) { _ in [AcknowledgementTests.ack("\"seq\":9")] })
                var run = PublishRun(connections: 1, perConnection: 1)
                try run.send(to: gateway, faultAfter: 1) {}
                #expect(run.acknowledged == run.all.map(\.id))
                #expect(try run.lost(StreamReader(url: server.url)) == run.all.map(\.id))
            }
        }

        @Test func `R-05: what was answered with 503 is never sent afterwards`() throws {
            try AcknowledgementTests.withMiddleman { gateway, middleman, server in
                #expect(try gateway.exchange(TestEvent().structured()).status == 202)
                middleman.refuse()
                #expect(waitUntil(timeout: .seconds(10)) { gateway.status(of: "/health/ready") == 503 })
                let events = (0..<200).map { _ in TestEvent() }
                let connection = try gateway.connect()
                try connection.send(events.flatMap { $0.structured().bytes })
                for _ in events {
                    let answer = try connection.receive()
                    #expect(answer.status == 503, "\(answer.text)")
                    #expect(answer.json["type"].string == "urn:sluice:problem:broker-unavailable")
                    #expect(Int(answer["Retry-After"] ?? "") ?? 0 >= 1)
                }
                let refusedBatch = TestEvent()
                #expect(try gateway.exchange(batch([refusedBatch.json])).status == 503)
                middleman.accept()
                #expect(waitUntil(timeout: .seconds(30)) { gateway.status(of: "/health/ready") == 200 })
                let after = TestEvent()
                #expect(try gateway.exchange(after.structured()).status == 202)
                #expect(middleman.hasSeen(after.id))
                for event in events + [refusedBatch] { #expect(!middleman.hasSeen(event.id)) }
                let copies = try StreamReader(url: server.url).copiesByID()
                for event in events + [refusedBatch] { #expect(copies[event.id] == nil) }
            }
        }

        @Test func `S-01: whatever the event holds, it is one publish to a subject that says its type`() throws {
            try AcknowledgementTests.withMiddleman(settings: [:]) { gateway, middleman, _ in
                let connection = try gateway.connect()
                var random = SeededGenerator(seed: 42)
                for _ in 0..<20 {
                    let types = (0..<100).map { _ in Self.hostileText(&random) }
                    let events = types.map { TestEvent(id: uniqueID(Self.hostileText(&random)), type: $0) }
                    middleman.accept()
                    try connection.send(events.flatMap { $0.structured().bytes })
                    var accepted: [TestEvent] = []
                    for event in events {
                        let answer = try connection.receive()
                        #expect(answer.status == 202 || answer.status == 400, "\(answer.text)")
                        if answer.status == 202 { accepted.append(event) }
                    }
                    let published = middleman.published
                    try #require(published.count == accepted.count)
                    for (publish, event) in zip(published, accepted) {
                        let prefix = "ce.default.normal."
                        #expect(publish.subject.hasPrefix(prefix))
                        let path = publish.subject.dropFirst(prefix.count)
                        if !path.hasPrefix("=sha256-") {
                            #expect(Self.decode(path) == Array(event.type.utf8), "\(publish.subject)")
                        }
                        #expect(try StoredEvent(payload: publish.payload).attributes["id"] == event.id)
                    }
                }
            }
        }

        /// Text of pieces that mean something to NATS, to HTTP, to JSON, or to Unicode.
        private static func hostileText(_ random: inout SeededGenerator) -> String {
            let pieces = [
                "a", "Z", "0", "-", "_", ".", "..", "*", ">", "$JS.API.", "$SYS.", "_INBOX.", " ", "%", "%0d%0a", "=",
                "=2E",
                "\r\n", "\n", "\u{0}", "\u{7F}", "\u{85}", "é", "e\u{301}", "😀", "\u{202E}", "\u{FFFE}", "\"", "\\",
                "/",
                "PUB x 0", "tenant.b.", "\u{FEFF}", "\t", String(repeating: "long", count: 50),
            ]
            return (0..<Int.random(in: 1...6, using: &random)).map { _ in
                // Rarely a piece that makes the event invalid, or no event would be accepted.
                let piece = pieces.randomElement(using: &random) ?? "a"
                let isInvalid = piece.unicodeScalars.contains {
                    $0.value < 32 || (127...159).contains($0.value) || $0.value == 0xFFFE
                }
                return isInvalid && Int.random(in: 0..<4, using: &random) > 0 ? "b" : piece
            }.joined()
        }

        /// The inverse of the encoding of design §3.
        private static func decode(_ path: Substring) -> [UInt8]? {
            var out: [UInt8] = []
            for (index, token) in path.utf8.split(separator: 0x2E, omittingEmptySubsequences: false).enumerated() {
                if index > 0 { out.append(0x2E) }
                if token.isEmpty { return nil }
                if Array(token) == [0x3D] { continue }
                var bytes = Array(token)[...]
                while let byte = bytes.popFirst() {
                    if byte == 0x3D {
                        let digits = String(decoding: bytes.prefix(2), as: UTF8.self)
                        guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else { return nil }
                        out.append(value)
                        bytes = bytes.dropFirst(2)
                    } else {
                        out.append(byte)
                    }
                }
            }
            return out
        }
    }
}
