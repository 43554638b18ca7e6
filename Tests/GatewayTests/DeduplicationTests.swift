import ServerFixtures
import Testing

extension EndToEnd {
    /// an event is (tenant, source, id), and the same one is stored once inside the window.
    @Suite(.serialized, .sharedStacks) struct DeduplicationTests {
        @Test(arguments: NATSServer.available)
        func `R-06: the same id in two sources and two tenants is four events`(binary: NATSServer.Binary) throws {
            let stack = try StackPool.stack(binary)
            var event = TestEvent()
            var sequences: Set<Int> = []
            for round in 0..<2 {
                for tenant in ["a", "b"] {
                    for source in ["/one", "/two"] {
                        event.source = source
                        let response = try stack.exchange(event.structured(headers: [("X-Tenant-ID", tenant)]))
                        #expect(response.status == 202)
                        #expect(response.json["duplicate"].bool == (round == 1))
                        sequences.insert(response.json["sequence"].int ?? 0)
                    }
                }
            }
            #expect(sequences.count == 4)
        }

        @Test func `R-06: no separator makes two identities one`() throws {
            let stack = try StackPool.stack()
            let parts = ["a", "a/", "/a", "a/b", "a:b", "a.b", "a%00b", "a,b", "a-b", "aa", "%61", "0", "00", "a%20"]
            let run = uniqueID()
            let tenants = ["a", "a-b", "aa"]
            var events: [(tenant: String, event: TestEvent)] = []
            for tenant in tenants {
                for source in parts {
                    for id in parts + ["a b", "a|b", "a\u{e9}", "ae\u{301}", "a\u{301}e"] {
                        events.append((tenant, TestEvent(id: id, source: "\(source)#\(run)")))
                        events.append((tenant, TestEvent(id: "\(source)\(id)", source: "#\(run)")))
                    }
                }
            }
            let identities = Set(events.map { [$0.tenant, $0.event.source, $0.event.id].map { Array($0.utf8) } })
            let before = try stack.reader().messageCount()
            let connection = try stack.gateway.connect()
            for (tenant, event) in events {
                let response = try connection.exchange(event.structured(headers: [("X-Tenant-ID", tenant)]))
                #expect(response.status == 202, "\(response.text)")
            }
            #expect(try stack.reader().messageCount() - before == identities.count)
        }

        @Test(arguments: NATSServer.available)
        func `R-07: fifty identical posts at once are one event, told to all`(binary: NATSServer.Binary) throws {
            let stack = try StackPool.stack(binary)
            let before = try stack.reader().messageCount()
            let request = TestEvent().structured()
            let connections = try (0..<50).map { _ in try stack.gateway.connect() }
            for connection in connections { try connection.send(request) }
            let answers = try connections.map { try $0.receive() }
            #expect(answers.map(\.status) == Array(repeating: 202, count: 50))
            #expect(answers.filter { $0.json["duplicate"].bool == false }.count == 1)
            #expect(Set(answers.map { $0.json["sequence"].int ?? 0 }).count == 1)
            #expect(try stack.reader().messageCount() == before + 1)
            let sequence = try #require(answers[0].json["sequence"].int)
            #expect(try stack.reader().message(sequence) != nil)
        }

        @Test func `R-07: the same event twice in one batch is stored once`() throws {
            let stack = try StackPool.stack()
            let before = try stack.reader().messageCount()
            let event = TestEvent()
            let response = try stack.exchange(batch([event.json, event.json, event.json]))
            #expect(response.status == 202, "\(response.text)")
            #expect(response.json["accepted"].int == 3)
            #expect(response.json["duplicates"].int == 2)
            #expect(Set(response.json["results"].items.map { $0["sequence"].int ?? 0 }).count == 1)
            #expect(try stack.reader().messageCount() == before + 1)
        }

        @Test(arguments: NATSServer.available)
        func `R-08: the window is the stream's and holds across a restart of the server`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try GatewayStack(binary, settings: ["DUPLICATE_WINDOW": "77"])
            let config = try stack.reader().api("STREAM.INFO.\(GatewayStack.stream)")["config"]
            #expect(config["duplicate_window"].int == 77_000_000_000)
            let event = TestEvent()
            let first = try stack.exchange(event.structured())
            #expect(first.status == 202)
            stack.server.kill()
            try stack.server.start()
            #expect(stack.waitUntilReady())
            let again = try stack.exchange(event.structured())
            #expect(again.status == 202, "\(again.text)")
            #expect(again.json["duplicate"].bool == true)
            #expect(again.json["sequence"].int == first.json["sequence"].int)
        }

        @Test(arguments: NATSServer.available)
        func `R-08: outside the window the same event is stored again`(binary: NATSServer.Binary) throws {
            let stack = try GatewayStack(binary, settings: ["DUPLICATE_WINDOW": "2"])
            let event = TestEvent()
            let first = try stack.exchange(event.structured())
            var last = try stack.exchange(event.structured())
            #expect(last.json["duplicate"].bool == true)
            let isStoredAgain = try waitUntil(timeout: .seconds(30)) {
                last = try stack.exchange(event.structured())
                return last.json["duplicate"].bool == false
            }
            #expect(isStoredAgain)
            #expect(last.json["sequence"].int == (first.json["sequence"].int ?? 0) + 1)
            #expect(try stack.reader().messageCount() == 2)
        }
    }
}
