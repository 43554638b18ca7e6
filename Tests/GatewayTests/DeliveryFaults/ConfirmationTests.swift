import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-18 and R-19: what counts as settled, and who may settle it.
    @Suite(.serialized) struct ConfirmationTests {
        @Test(arguments: NATSServer.available)
        func `R-18: nothing counts as delivered before the server has confirmed it`(binary: NATSServer.Binary) throws {
            let proxy = Shared<TCPProxy?>(nil)
            let rig = try FaultRig(binary) { port in
                let made = TCPProxy(target: port)
                proxy.withLock { $0 = made }
                return made.port
            }
            let relay = try #require(proxy.current)
            // From the first answer on, nothing that the server says reaches the gateway: no confirmation either.
            let isDeaf = Shared(false)
            let sink = try FaultSink { _, _ in
                if isDeaf.current { relay.set { $0.dropsServerBytes = true } }
                return .answer(200)
            }
            try rig.subscribe("s", sink, config: #""ackWait":2,"maxInFlight":16"#)
            try rig.publish((0..<20).map { "a\($0)" })
            #expect(try waitUntil(timeout: .seconds(30)) { try rig.delivered("s") == 20 })
            isDeaf.withLock { $0 = true }
            let publishing = Shared(false)
            let publisher = rig.publisher
            Thread {
                let done = publisher.publish((0..<20).map { "b\($0)" }, type: "com.example.faults")
                publishing.withLock { $0 = done }
            }.start()
            // The server has the acknowledgements of what was taken; the gateway cannot know.
            #expect(waitUntil(timeout: .seconds(30)) { sink.takenCount > 20 }, "\(sink.takenCount)")
            #expect(
                waitUntil(timeout: .seconds(30)) { (rig.consumer("s")["ack_floor"]["stream_seq"].int ?? 0) > 20 },
                "\(rig.consumer("s").text)"
            )
            let counted = try MetricsPage(rig.gateway.get("/metrics")).sum("sluice_deliveries_total")
            #expect(counted == 20)
            isDeaf.withLock { $0 = false }
            relay.cut()
            relay.set { $0.dropsServerBytes = false }
            #expect(waitUntil(timeout: .seconds(60)) { sink.takenCount == 40 && publishing.current })
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            try Self.expectCounted(rig, 40)
        }

        @Test(arguments: NATSServer.available)
        func `R-18: a connection cut right after the receiver's 2xx loses nothing, and all is counted once`(
            binary: NATSServer.Binary
        ) throws {
            let proxy = Shared<TCPProxy?>(nil)
            let rig = try FaultRig(binary) { port in
                let made = TCPProxy(target: port)
                proxy.withLock { $0 = made }
                return made.port
            }
            let relay = try #require(proxy.current)
            let answers = Shared((count: 0, last: ""))
            // Nothing leaves the gateway from before every 40th answer until the connection is cut after it.
            let sink = try FaultSink(
                { id, before in
                    guard before == 0 else { return .answer(204) }
                    answers.withLock { answers in
                        answers.count += 1
                        guard answers.count % 40 == 0 else { return }
                        answers.last = id
                        relay.set { $0.stalls = true }
                    }
                    return .answer(204)
                },
                answered: { id, _ in
                    guard answers.current.last == id else { return }
                    relay.cut()
                    relay.set { $0.stalls = false }
                }
            )
            let count = 400 * FaultRandom.scale
            try rig.subscribe("s", sink, config: #""ackWait":2,"maxInFlight":16"#)
            try rig.publish((0..<count).map { "e\($0)" })
            #expect(waitUntil(timeout: .seconds(90)) { sink.takenCount == count }, "\(sink.takenCount) of \(count)")
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            try Self.expectCounted(rig, count)
            #expect(try rig.letters().isEmpty)
            // What came twice is at most what was in hand at a cut.
            let more = sink.attempts - count
            #expect(more <= 16 * count / 40, "\(more) repeated")
        }

        /// The counter, the status and the consumer's floor tell the same.
        private static func expectCounted(_ rig: FaultRig, _ count: Int) throws {
            _ = try waitUntil(timeout: .seconds(20)) { try rig.delivered("s") == count }
            #expect(try rig.delivered("s") == count)
            let info = rig.consumer("s")
            #expect(info["ack_floor"]["stream_seq"].int == count, "\(info.text)")
            #expect(try MetricsPage(rig.gateway.get("/metrics")).sum("sluice_deliveries_total") == Double(count))
        }

        // MARK: Locks

        @Test(arguments: NATSServer.available)
        func `R-19: a token settles at any replica while its lock lives, and nothing after that`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary, replicas: 2)
            try rig.subscribe("p", nil, config: #""ackWait":3"#)
            try rig.publish(["a", "b", "c"])
            let first = try Self.receive(rig, 3, at: 0)
            #expect(first.count == 3)
            // The other replica passes it to the one that has the lock.
            #expect(try Self.settle(rig, "acknowledge", [first[0]], at: 1) == ["succeeded"])
            #expect(try Self.settle(rig, "acknowledge", [first[0]], at: 1) == ["TokenLost"])
            // The locks of the others end, and the other replica gets them.
            let second = try Self.receive(rig, 2, at: 1)
            #expect(Self.ids(second) == Self.ids(Array(first[1...])))
            #expect(second.allSatisfy { $0["brokerProperties"]["deliveryCount"].int == 2 })
            for verb in ["acknowledge", "release", "reject", "renewLock"] {
                for replica in 0...1 {
                    #expect(try Self.settle(rig, verb, first, at: replica) == Array(repeating: "TokenLost", count: 3))
                }
            }
            #expect(rig.consumer("p")["num_ack_pending"].int == 2, "what is locked is still pending")
            #expect(try rig.letters().isEmpty)
            #expect(try Self.settle(rig, "acknowledge", second, at: 0) == ["succeeded", "succeeded"])
            #expect(rig.waitUntilSettled("p"))
            #expect(try rig.delivered("p", at: 0) == 1 && rig.delivered("p", at: 1) == 2)
        }

        @Test(arguments: NATSServer.available)
        func `R-19: the tokens of a gateway that was killed are lost, and its events come again`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary, replicas: 2)
            try rig.subscribe("p", nil, config: #""ackWait":3"#)
            try rig.publish(["a", "b"])
            let first = try Self.receive(rig, 2, at: 0)
            rig.gateways[0].kill()
            #expect(try Self.settle(rig, "acknowledge", first, at: 1) == ["TokenLost", "TokenLost"])
            try rig.restart("p")
            #expect(try Self.settle(rig, "acknowledge", first, at: 0) == ["TokenLost", "TokenLost"])
            let second = try Self.receive(rig, 2, at: 0)
            #expect(Self.ids(second) == Self.ids(first))
            #expect(try Self.settle(rig, "acknowledge", first, at: 0) == ["TokenLost", "TokenLost"])
            #expect(rig.consumer("p")["num_ack_pending"].int == 2)
            #expect(try Self.settle(rig, "acknowledge", second, at: 1) == ["succeeded", "succeeded"])
            #expect(rig.waitUntilSettled("p"))
        }

        /// Receives until there are so many.
        private static func receive(_ rig: FaultRig, _ count: Int, at replica: Int) throws -> [WireJSON] {
            var found: [WireJSON] = []
            _ = try waitUntil(timeout: .seconds(60)) {
                let target = "/v1/subscriptions/p:receive?maxEvents=\(count - found.count)&maxWaitTime=5"
                let answer = try rig.call("POST", target, at: replica)
                found += answer.json["value"].items
                return found.count >= count
            }
            return found.sorted { ids([$0])[0] < ids([$1])[0] }
        }

        private static func ids(_ events: [WireJSON]) -> [String] {
            events.map { $0["event"]["id"].string ?? "" }.sorted()
        }

        /// What became of each token, in order.
        private static func settle(
            _ rig: FaultRig,
            _ verb: String,
            _ events: [WireJSON],
            at replica: Int
        ) throws -> [String] {
            let tokens = events.map { $0["brokerProperties"]["lockToken"].string ?? "" }
            let list = tokens.map(quoted).joined(separator: ",")
            let answer = try rig.call("POST", "/v1/subscriptions/p:\(verb)", "{\"lockTokens\":[\(list)]}", at: replica)
            try #require(answer.status == 200, "\(answer.text)")
            let succeeded = Set(answer.json["succeededLockTokens"].items.compactMap(\.string))
            let failed = answer.json["failedLockTokens"].items.reduce(into: [:]) {
                $0[$1["lockToken"].string ?? ""] = $1["error"]["code"].string
            }
            return tokens.map { succeeded.contains($0) ? "succeeded" : failed[$0] ?? answer.text }
        }
    }
}
