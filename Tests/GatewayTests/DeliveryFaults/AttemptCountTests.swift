import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-21, R-31 and R-33: the count of attempts, which comes from JetStream's own, over the ends of gateways.
    @Suite(.serialized) struct AttemptCountTests {
        @Test(arguments: NATSServer.available)
        func `R-33: a drain between attempts costs none and adds none`(binary: NATSServer.Binary) throws {
            let rig = try FaultRig(binary)
            let sink = try FaultSink { _, _ in .answer(409) }
            try rig.subscribe("s", sink, config: #""ackWait":2,"maxAttempts":5,"backoff":[1]"#)
            let ids = (0..<10).map { "e\($0)" }
            try rig.publish(ids)
            for attempt in 1..<5 {
                let isThere = waitUntil(timeout: .seconds(60)) {
                    sink.histories.values.count { $0.arrivals.count >= attempt } == ids.count
                }
                #expect(isThere, "\(attempt): \(sink.histories)")
                rig.gateway.terminate()
                #expect(rig.gateway.waitForExit())
                #expect(rig.gateway.exitStatus == 0)
                try rig.restart("s")
            }
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            let counts = ids.map { sink.history($0).arrivals.count }
            #expect(counts.allSatisfy { $0 == 5 }, "\(counts)")
            let letters = try rig.letters()
            #expect(letters.map(\.id).sorted() == ids.sorted())
            #expect(letters.allSatisfy { $0.attempts == 5 && $0.reason == "retries-exhausted" }, "\(letters)")
        }

        @Test(arguments: NATSServer.available)
        func `R-33: a drain lets an attempt under way end, and its event is not sent again`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary, settings: ["SINK_TIMEOUT": "30", "DRAIN_TIMEOUT": "30"])
            let sink = try FaultSink { _, _ in .hold }
            try rig.subscribe("s", sink, config: #""ackWait":5"#)
            let ids = (0..<10).map { "e\($0)" }
            try rig.publish(ids)
            #expect(waitUntil(timeout: .seconds(30)) { sink.stuck == ids.count })
            rig.gateway.terminate()
            // It has begun to drain once it takes no connection, or says that it is not ready.
            #expect(waitUntil(timeout: .seconds(30)) { rig.gateway.status(of: "/health/ready") != 200 })
            sink.release()
            #expect(rig.gateway.waitForExit(timeout: .seconds(60)))
            #expect(rig.gateway.exitStatus == 0)
            #expect(rig.consumer("s")["num_ack_pending"].int == 0, "\(rig.consumer("s").text)")
            try rig.restart("s")
            #expect(rig.waitUntilSettled("s"))
            #expect(sink.taken == Set(ids))
            #expect(sink.attempts == ids.count)
        }

        @Test(arguments: NATSServer.available)
        func `R-33: drains in the middle of a stream of events cost no attempt`(binary: NATSServer.Binary) throws {
            let rig = try FaultRig(binary)
            let sink = try FaultSink { _, _ in .late(.milliseconds(2)) }
            // One attempt: whatever costs an event one makes it a dead letter that was never tried.
            try rig.subscribe("s", sink, config: #""ackWait":2,"maxInFlight":64,"maxAttempts":1"#)
            let ids = (0..<6000).map { "e\($0)" }
            try rig.publish(ids)
            for drain in 1...5 {
                #expect(waitUntil(timeout: .seconds(60)) { sink.takenCount >= min(drain * 600, ids.count) })
                rig.gateway.terminate()
                #expect(rig.gateway.waitForExit())
                #expect(rig.gateway.exitStatus == 0)
                try rig.restart("s")
            }
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            let letters = try rig.letters()
            // Servers before 2.9.22 count what they were about to send when they heard that nobody wants it any more
            // (nats-server, `didNotDeliver`): a few of thousands.
            let lost = letters.count
            #expect(binary.version.hasPrefix("2.9.") ? lost < 32 : lost == 0, "\(lost)")
            #expect(sink.taken.union(letters.map(\.id)) == Set(ids))
            #expect(sink.attempts == ids.count - lost)
        }

        @Test(arguments: NATSServer.available)
        func `R-33: what a drain hands back unattempted has all its attempts`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary)
            let (sink, ids) = try Self.eventsInHand(rig, maxAttempts: 2)
            rig.gateway.terminate()
            #expect(rig.gateway.waitForExit())
            try rig.restart("s")
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            let counts = ids.map { sink.history($0).arrivals.count }
            #expect(counts.allSatisfy { $0 == 2 }, "\(counts)")
            let letters = try rig.letters()
            #expect(letters.map(\.id).sorted() == ids.sorted())
            #expect(letters.allSatisfy { $0.attempts == 2 && $0.reason == "retries-exhausted" }, "\(letters)")
        }

        @Test func `R-31: a crash before an attempt counts as one, never as more`() throws {
            let rig = try FaultRig()
            let (sink, ids) = try Self.eventsInHand(rig, maxAttempts: 3)
            rig.gateway.kill()
            try rig.restart("s")
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            let counts = ids.map { sink.history($0).arrivals.count }
            #expect(counts.allSatisfy { (2...3).contains($0) }, "\(counts)")
            let letters = try rig.letters()
            #expect(letters.map(\.id).sorted() == ids.sorted())
            #expect(letters.allSatisfy { $0.attempts == 3 && $0.reason == "retries-exhausted" }, "\(letters)")
        }

        @Test(arguments: NATSServer.available)
        func `R-31: a crash during an attempt counts as one, and the last one is not made twice`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary, settings: ["SINK_TIMEOUT": "60"])
            let once = try FaultSink { _, _ in .hang }
            let twice = try FaultSink { _, before in before == 0 ? .hang : .answer(409) }
            try rig.subscribe("once", once, config: #""ackWait":2,"maxAttempts":1,"backoff":[0]"#)
            try rig.subscribe("twice", twice, config: #""ackWait":2,"maxAttempts":2,"backoff":[0]"#)
            let ids = (0..<5).map { "e\($0)" }
            try rig.publish(ids)
            #expect(waitUntil(timeout: .seconds(30)) { once.stuck == ids.count && twice.stuck == ids.count })
            rig.gateway.kill()
            try rig.restart("once")
            #expect(rig.waitUntilSettled("once") && rig.waitUntilSettled("twice"))
            #expect(once.attempts == ids.count && twice.attempts == 2 * ids.count)
            let letters = try rig.letters()
            for (name, attempts) in [("once", 1), ("twice", 2)] {
                let own = letters.filter { $0.subscription == name }
                #expect(own.map(\.id).sorted() == ids.sorted(), "\(name)")
                #expect(own.allSatisfy { $0.attempts == attempts && $0.reason == "retries-exhausted" }, "\(own)")
            }
        }

        /// A subscription whose gateway has events in hand that it may not try: the sink wants to be left alone.
        private static func eventsInHand(_ rig: FaultRig, maxAttempts: Int) throws -> (FaultSink, [String]) {
            let sink = try FaultSink { id, before in
                id == "first" && before == 0 ? .answer(503, retryAfter: "8") : .answer(409)
            }
            try rig.subscribe(
                "s",
                sink,
                config: "\"ackWait\":3,\"maxInFlight\":16,\"maxAttempts\":\(maxAttempts),\"backoff\":[1]"
            )
            try rig.publish(["first"])
            try #require(
                try waitUntil(timeout: .seconds(30)) { try rig.status("s")["thisReplica"]["retried"].int == 1 }
            )
            let ids = (0..<6).map { "e\($0)" }
            try rig.publish(ids)
            // Taken by the pull that was under way, and waiting.
            try #require(
                waitUntil(timeout: .seconds(30)) { rig.consumer("s")["num_ack_pending"].int == ids.count + 1 },
                "\(rig.consumer("s").text)"
            )
            #expect(sink.attempts == 1)
            return (sink, ["first"] + ids)
        }
    }
}
