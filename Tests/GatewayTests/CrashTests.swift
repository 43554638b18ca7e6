import ServerFixtures
import Testing

extension EndToEnd {
    /// R-02, R-09 and R-11: what a 202 is worth when a process is killed.
    @Suite(.serialized) struct CrashTests {
        @Test(arguments: NATSServer.available)
        func `R-02: what was acknowledged survives SIGKILL of the gateway`(binary: NATSServer.Binary) throws {
            let stack = try GatewayStack(binary)
            var run = PublishRun(connections: 64, perConnection: 25)
            try run.send(to: stack.gateway, faultAfter: 200) { stack.gateway.kill() }
            #expect(run.acknowledged.count >= 200)
            #expect(run.acknowledged.count < run.all.count, "the kill came after the last answer: nothing was tested")
            #expect(try run.lost(stack.reader()) == [])
            try stack.gateway.start()
            try run.retryUntilAcknowledged(stack.gateway)
            try expectExactlyOnce(run, stack)
        }

        @Test(arguments: NATSServer.available)
        func `R-02: what was acknowledged survives SIGKILL of nats-server`(binary: NATSServer.Binary) throws {
            let stack = try GatewayStack(binary)
            var run = PublishRun(connections: 64, perConnection: 75)
            try run.send(to: stack.gateway, faultAfter: 200) { stack.server.kill() }
            #expect(run.status.count == run.all.count, "an event got no answer")
            #expect(Set(run.status.values).isSubset(of: [202, 503, 504]), "\(Set(run.status.values))")
            #expect(run.acknowledged.count < run.all.count, "the kill came after the last answer: nothing was tested")
            try stack.server.start()
            #expect(stack.waitUntilReady())
            #expect(try run.lost(stack.reader()) == [])
            let stored = try stack.reader().copiesByID()
            for event in run.all where run.status[event.id] == 503 {
                #expect(stored[event.id] == nil, "503 promises that the event was not stored")
            }
            try run.retryUntilAcknowledged(stack.gateway)
            try expectExactlyOnce(run, stack)
        }

        private func expectExactlyOnce(_ run: PublishRun, _ stack: GatewayStack) throws {
            #expect(run.acknowledged.count == run.all.count)
            let copies = try stack.reader().copiesByID()
            #expect(copies.count == run.all.count)
            #expect(copies.values.allSatisfy { $0 == 1 })
        }

        @Test(arguments: NATSServer.available)
        func `R-09: a batch cut short tells the truth about every entry`(binary: NATSServer.Binary) throws {
            let stack = try GatewayStack(binary)
            let batches = (0..<12).map { _ in (0..<1000).map { _ in TestEvent() } }
            let connections = try batches.map { _ in try stack.gateway.connect(timeout: .seconds(30)) }
            for (connection, events) in zip(connections, batches) {
                try connection.send(batch(events.map(\.json)))
            }
            var answers = [try connections[0].receive()]
            stack.server.kill()
            answers += try connections.dropFirst().map { try $0.receive() }
            try stack.server.start()
            #expect(stack.waitUntilReady())
            let stored = try stack.reader().copiesByID()
            #expect(answers.contains { $0.status != 202 }, "the kill came after the last answer: nothing was tested")
            for (answer, events) in zip(answers, batches) {
                #expect([202, 503, 504].contains(answer.status), "\(answer.status)")
                try expectTrue(answer, events, stored)
            }
        }

        private func expectTrue(_ answer: HTTPResponse, _ events: [TestEvent], _ stored: [String: Int]) throws {
            let results = answer.json["results"].items
            try #require(results.count == events.count, "\(answer.text.prefix(500))")
            var wrong: [String] = []
            for (result, event) in zip(results, events) {
                let copies = stored[event.id] ?? 0
                switch result["status"].int {
                case 202 where copies == 1, 503 where copies == 0, 504 where copies <= 1: continue
                default: wrong.append("\(event.id): said \(result["status"].int ?? 0), \(copies) copies are stored")
                }
            }
            #expect(wrong == [])
            let statuses = Set(results.compactMap { $0["status"].int })
            #expect(statuses == [202] || answer.status != 202, "202 over \(statuses)")
            #expect(!statuses.contains(504) || answer.status == 504, "an unknown entry makes the whole unknown")
        }

        @Test(arguments: NATSServer.available)
        func `R-11: what nobody has subscribed to is kept until somebody reads it`(binary: NATSServer.Binary) throws {
            let stack = try GatewayStack(binary)
            let events = (0..<1000).map { _ in TestEvent() }
            let response = try stack.exchange(batch(events.map(\.json)))
            #expect(response.status == 202)
            let info = try stack.reader().api("STREAM.INFO.\(GatewayStack.stream)")
            #expect(info["state"]["consumer_count"].int == 0)
            #expect(info["config"]["retention"].string == "limits")
            #expect(info["config"]["discard"].string == "new")
            #expect(info["config"]["storage"].string == "file")
            let read = try stack.reader().allMessages().map { try $0.event().attributes["id"] ?? "" }
            #expect(Set(read) == Set(events.map(\.id)))
            #expect(read.count == 1000)
        }

        @Test func `a gateway that is asked to end answers what it has taken and ends with code 0`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            let connection = try stack.gateway.connect()
            let events = (0..<50).map { _ in TestEvent() }
            try connection.send(events.flatMap { $0.structured().bytes })
            #expect(try connection.receive().status == 202)
            stack.gateway.terminate()
            var acknowledged = 1
            while let answer = try? connection.receive() {
                #expect([202, 503].contains(answer.status))
                acknowledged += answer.status == 202 ? 1 : 0
            }
            #expect(stack.gateway.waitForExit())
            #expect(stack.gateway.exitStatus == 0)
            #expect(try stack.reader().messageCount() == acknowledged)
        }
    }
}
