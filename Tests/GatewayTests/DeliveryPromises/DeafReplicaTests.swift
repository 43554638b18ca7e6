import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-43: a replica that has not heard of a changed filter does not settle what only the new filter wants.
    @Suite(.serialized) struct DeafReplicaTests {
        private static let bucket = "KV_SLUICE_SUBSCRIPTIONS"

        /// A nats-server whose consumers can be paused.
        private static func binary() throws -> NATSServer.Binary {
            try #require(
                NATSServer.available.last { !$0.version.hasPrefix("2.9.") && !$0.version.hasPrefix("2.10.") },
                "no nats-server of 2.11 or later; SLUICE_TEST_NATS_SERVER_CURRENT names one"
            )
        }

        /// What the filter wants is not for the server to decide: the consumer stays the same when it changes.
        private static func hook(_ sink: FaultSink, source: String) -> String {
            DeliveryClient.hook(
                sink.url,
                [#""filters":[{"exact":{"source":"\#(source)"}}]"#],
                config: [#""ackWait":30,"maxInFlight":4"#]
            )
        }

        /// Until when the watches of the bucket that there are say nothing, as a time.
        private static func pauseWatches(_ rig: FaultRig, until time: String) throws -> Int {
            let names = rig.api("CONSUMER.NAMES.\(bucket)")["consumers"].items.compactMap(\.string)
            for name in names {
                let answer = rig.api("CONSUMER.PAUSE.\(bucket).\(name)", "{\"pause_until\":\"\(time)\"}")
                try #require(answer["error"].isNull, "\(answer.text)")
            }
            return names.count
        }

        @Test func `a replica that has not heard of a changed filter skips nothing, and the event comes when it has`()
            throws
        {
            let rig = try FaultRig(Self.binary())
            let sink = try FaultSink()
            #expect(try Self.put(Self.hook(sink, source: "/old"), rig) == 201)
            try rig.waitUntilKnown("s")
            let early = try Self.publish(rig, source: "/old")
            #expect(waitUntil(timeout: .seconds(30)) { sink.taken == [early] })
            #expect(rig.waitUntilSettled("s"))

            // From now on the gateway's deliveries hear of no change.
            #expect(try Self.pauseWatches(rig, until: "2100-01-01T00:00:00Z") == 1)
            #expect(try Self.put(Self.hook(sink, source: "/new"), rig) == 200)
            let wanted = try (0..<5).map { _ in try Self.publish(rig, source: "/new") }
            let isSkipped = try waitUntil(timeout: .seconds(60)) {
                try rig.status("s")["thisReplica"]["skipped"].int ?? 0 >= wanted.count
            }
            #expect(isSkipped, "\((try? rig.status("s").text) ?? "")")
            #expect(sink.taken == [early], "the old filter still counts")
            // They are not settled, however often they come.
            let isSettled = waitUntil(timeout: .seconds(5)) {
                let info = rig.consumer("s")
                return info["num_pending"].int == 0 && info["num_ack_pending"].int == 0
            }
            #expect(!isSettled, "\(rig.consumer("s").text)")

            #expect(try Self.pauseWatches(rig, until: "2000-01-01T00:00:00Z") == 1)
            #expect(
                waitUntil(timeout: .seconds(90)) { sink.taken == Set(wanted + [early]) },
                "\(sink.takenCount) of \(wanted.count + 1)"
            )
            // What neither filter wants is skipped for good.
            _ = try Self.publish(rig, source: "/old")
            #expect(rig.waitUntilSettled("s"))
            #expect(sink.taken == Set(wanted + [early]))
            #expect(try rig.letters().isEmpty)
        }

        private static func put(_ json: String, _ rig: FaultRig) throws -> Int {
            var status = 503
            _ = try waitUntil(timeout: .seconds(30)) {
                status = try rig.call("PUT", "/v1/subscriptions/s", json).status
                return status != 503
            }
            return status
        }

        private static func publish(_ rig: FaultRig, source: String) throws -> String {
            let event = TestEvent(source: source)
            let answer = try rig.gateway.exchange(event.structured(headers: [("X-Tenant-ID", FaultRig.tenant)]))
            try #require(answer.status == 202, "\(answer.text)")
            return event.id
        }
    }
}
