import ServerFixtures
import Testing

extension EndToEnd {
    /// R-29: what one subscription holds of a gateway's memory is bounded, and a full memory stops nobody for good.
    @Suite(.serialized) struct MemoryShareTests {
        /// Bytes of every event's data: near the largest that nats-server takes.
        private static let dataBytes = 900 << 10
        /// Deliveries share one lane; a sink has time to hang.
        private static let settings = ["HTTP_THREADS": "1", "SINK_TIMEOUT": "600", "MAX_EVENT_BYTES": "1000000"]
        private static let config = #""ackWait":30,"maxInFlight":200"#

        /// Publishes so many large events of a type and returns their ids.
        private static func publish(_ count: Int, _ type: String, _ rig: FaultRig) throws -> Set<String> {
            let connection = try rig.gateway.connect(timeout: .seconds(60))
            let data = quoted(String(repeating: "x", count: dataBytes))
            let events = (0..<count).map { _ in TestEvent(type: type, data: data) }
            for event in events {
                let headers = [("X-Tenant-ID", FaultRig.tenant)]
                let answer = try connection.exchange(event.structured(headers: headers))
                try #require(answer.status == 202, "\(answer.status) \(answer.text)")
            }
            return Set(events.map(\.id))
        }

        @Test(arguments: NATSServer.available)
        func `R-29: a sink that never answers holds its subscription's share of memory only, and others get everything`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary, settings: Self.settings)
            let (hung, well) = (try FaultSink { _, _ in .hang }, try FaultSink())
            try rig.subscribe("hung", hung, config: Self.config)
            try rig.subscribe("well", well, config: Self.config)
            // More than the lane takes in all.
            let ids = try Self.publish(80, "com.example.large", rig)
            #expect(waitUntil(timeout: .seconds(120)) { well.taken == ids }, "\(well.takenCount)")
            #expect(rig.waitUntilSettled("well"))
            // A share of 8 MiB, passed by one pull of at most as much.
            let most = (16 << 20) / Self.dataBytes
            #expect(waitUntil(timeout: .seconds(60)) { hung.stuck * Self.dataBytes >= 8 << 20 }, "\(hung.stuck)")
            let isOverfull = waitUntil(timeout: .seconds(5)) { hung.stuck > most }
            #expect(!isOverfull, "\(hung.stuck) events of one subscription are held")
            #expect(hung.taken.isEmpty)
        }

        @Test(arguments: NATSServer.available)
        func `R-29: where memory is full of others' events, a subscription that holds none gets one at a time`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary, settings: Self.settings)
            let (hung, well) = (try FaultSink { _, _ in .hang }, try FaultSink())
            let names = (0..<9).map { "hung\($0)" }
            for name in names { try rig.subscribe(name, hung, types: ["com.example.stuck"], config: Self.config) }
            _ = try Self.publish(12, "com.example.stuck", rig)
            // 64 MiB is all that a lane holds; less than a share is left for nobody but who holds nothing.
            #expect(waitUntil(timeout: .seconds(120)) { hung.stuck * Self.dataBytes >= 64 << 20 }, "\(hung.stuck)")
            try rig.subscribe("well", well, types: ["com.example.large"], config: Self.config)
            // More than would come if each waited for the end of a pull that was asked for while one was held.
            let ids = try Self.publish(30, "com.example.large", rig)
            #expect(waitUntil(timeout: .seconds(180)) { well.taken == ids }, "\(well.takenCount)")
            #expect(rig.waitUntilSettled("well"))
            #expect(hung.taken.isEmpty)
        }
    }
}
