import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-43: consumers and streams that somebody deletes under a running gateway.
    @Suite(.serialized) struct ConsumerLossTests {
        private static let config = #""ackWait":2,"maxInFlight":8"#

        @Test(arguments: NATSServer.available)
        func `R-43: a deleted consumer is made again where it was, neither skipping nor beginning anew`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary)
            let (live, paused) = (try FaultSink(), try FaultSink())
            try rig.subscribe("live", live, config: Self.config)
            try rig.subscribe("paused", paused, config: Self.config)
            try rig.subscribe("pull", nil, config: Self.config)
            let old = (0..<100).map { "old\($0)" }
            try rig.publish(old)
            #expect(rig.waitUntilSettled("live") && rig.waitUntilSettled("paused"))
            try Self.acknowledge(rig, Set(old))
            // How far they are stands in their records, from where all gateways know it.
            for id in ["live", "paused", "pull"] {
                #expect(waitUntil(timeout: .seconds(60)) { Self.cursor(rig, id) == 101 }, "\(id)")
            }
            #expect(try rig.call("POST", "/v1/subscriptions/paused:pause").status == 200)
            let waiting = (0..<50).map { "waiting\($0)" }
            try rig.publish(waiting)
            #expect(waitUntil(timeout: .seconds(30)) { live.takenCount == 150 })
            for id in ["live", "paused", "pull"] { Self.delete(rig, id) }
            let new = (0..<50).map { "new\($0)" }
            try rig.publish(new)
            #expect(try rig.call("POST", "/v1/subscriptions/paused:resume").status == 200)
            let all = Set(old + waiting + new)
            for (name, sink) in [("live", live), ("paused", paused)] {
                #expect(waitUntil(timeout: .seconds(60)) { sink.taken == all }, "\(name): \(sink.takenCount)")
                #expect(rig.waitUntilSettled(name), "\(rig.consumer(name).text)")
                // What was settled before the noted place does not come again.
                #expect(old.allSatisfy { sink.history($0).arrivals.count == 1 }, "\(name)")
            }
            try Self.acknowledge(rig, Set(waiting + new))
            #expect(rig.waitUntilSettled("pull"))
        }

        @Test(arguments: NATSServer.available)
        func `R-43: a consumer deleted again and again in the middle of its deliveries loses no event`(
            binary: NATSServer.Binary
        ) throws {
            let seed = FaultRandom.chosenSeed()
            var random = FaultRandom(seed: seed, of: "deletions")
            let rig = try FaultRig(binary, replicas: 2)
            let sink = try FaultSink()
            try rig.subscribe("s", sink, config: Self.config)
            let ids = (0..<800).map { "e\($0)" }
            let publisher = rig.publisher
            Thread { _ = publisher.publish(ids, type: "com.example.faults") }.start()
            for round in 1...2 {
                let goal = Int.random(in: 1...ids.count / 3, using: &random) * round
                _ = waitUntil(timeout: .seconds(30)) { sink.takenCount >= goal }
                Self.delete(rig, "s")
                if round == 2 {
                    rig.gateways[0].kill()
                    try rig.restart("s")
                }
            }
            #expect(
                waitUntil(timeout: .seconds(90)) { sink.takenCount == ids.count },
                "seed \(seed): \(sink.takenCount)"
            )
            #expect(rig.waitUntilSettled("s"), "seed \(seed): \(rig.consumer("s").text)")
            #expect(try rig.letters().isEmpty)
        }

        @Test(arguments: NATSServer.available)
        func `R-43: what a purge takes from a subscription is counted, and new events flow`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary)
            let sink = try FaultSink()
            try rig.subscribe("s", sink, config: Self.config)
            try rig.subscribe("pull", nil, config: Self.config)
            try rig.publish(["first"])
            #expect(rig.waitUntilSettled("s"))
            try Self.acknowledge(rig, ["first"])
            #expect(rig.waitUntilSettled("pull"))
            try rig.publish((0..<20).map { "purged\($0)" })
            #expect(waitUntil(timeout: .seconds(30)) { sink.takenCount == 21 })
            #expect(try waitUntil(timeout: .seconds(30)) { try rig.status("pull")["pending"].int == 20 })
            #expect(rig.api("STREAM.PURGE.\(GatewayStack.stream)")["success"].bool == true)
            #expect(
                try waitUntil(timeout: .seconds(20)) { try rig.status("pull")["expiredUndelivered"].int == 20 },
                "\((try? rig.status("pull").text) ?? "")"
            )
            let new = (0..<50).map { "new\($0)" }
            try rig.publish(new)
            #expect(waitUntil(timeout: .seconds(60)) { sink.takenCount == 71 }, "\(sink.takenCount)")
            #expect(sink.taken.isSuperset(of: new))
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            try Self.acknowledge(rig, Set(new))
            #expect(rig.waitUntilSettled("pull"), "\(rig.consumer("pull").text)")
            #expect(try rig.status("s")["expiredUndelivered"].int == 0, "what was settled before is no loss")
        }

        @Test(arguments: NATSServer.available)
        func `R-43: nothing is settled while the dead letters' stream is gone`(binary: NATSServer.Binary) throws {
            let rig = try FaultRig(binary)
            let sink = try FaultSink { id, _ in id.hasPrefix("bad") ? .answer(400) : .answer(204) }
            try rig.subscribe("s", sink, config: Self.config)
            #expect(rig.api("STREAM.DELETE.SLUICE_DEAD_LETTERS")["success"].bool == true)
            let bad = (0..<5).map { "bad\($0)" }
            try rig.publish(bad)
            #expect(waitUntil(timeout: .seconds(30)) { sink.histories.count == bad.count })
            let good = (0..<50).map { "good\($0)" }
            try rig.publish(good)
            #expect(waitUntil(timeout: .seconds(60)) { sink.taken == Set(good) }, "\(sink.takenCount)")
            let stays = waitUntil(timeout: .seconds(60)) {
                rig.messageCount("SLUICE_DEAD_LETTERS") == bad.count
                    || rig.consumer("s")["num_ack_pending"].int == bad.count
            }
            #expect(stays, "\(rig.consumer("s").text)")
            rig.gateway.kill()
            try rig.restart("s")
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            #expect(try rig.letters().map(\.id).sorted() == bad)
        }

        private static func delete(_ rig: FaultRig, _ id: String) {
            _ = rig.api("CONSUMER.DELETE.\(GatewayStack.stream).\(FaultRig.tenant)_\(id)")
        }

        /// From where a subscription's record would have its consumer made again.
        private static func cursor(_ rig: FaultRig, _ id: String) -> Int? {
            let subject = "$KV.SLUICE_SUBSCRIPTIONS.\(FaultRig.tenant).\(id)"
            let answer = rig.api("STREAM.MSG.GET.KV_SLUICE_SUBSCRIPTIONS", "{\"last_by_subj\":\"\(subject)\"}")
            let record = answer["message"]["data"].string.flatMap { Data(base64Encoded: $0) } ?? Data()
            return (try? WireJSON(parsing: Array(record)))?["cursor"].int
        }

        /// Receives and acknowledges until these events have come, and no others.
        private static func acknowledge(_ rig: FaultRig, _ ids: Set<String>) throws {
            var found: Set<String> = []
            let isComplete = try waitUntil(timeout: .seconds(60)) {
                let answer = try rig.call("POST", "/v1/subscriptions/pull:receive?maxEvents=100&maxWaitTime=5")
                let events = answer.json["value"].items
                let tokens = events.map { quoted($0["brokerProperties"]["lockToken"].string ?? "") }
                if !tokens.isEmpty {
                    _ = try rig.call(
                        "POST",
                        "/v1/subscriptions/pull:acknowledge",
                        "{\"lockTokens\":[\(tokens.joined(separator: ","))]}"
                    )
                }
                found.formUnion(events.compactMap { $0["event"]["id"].string })
                return found.isSuperset(of: ids)
            }
            #expect(isComplete && found == ids, "\(found.symmetricDifference(ids).sorted().prefix(5))")
        }
    }
}
