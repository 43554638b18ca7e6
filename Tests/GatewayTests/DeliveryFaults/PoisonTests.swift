import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-23 and R-29: what goes wrong harms itself only.
    @Suite(.serialized) struct PoisonTests {
        @Test(arguments: NATSServer.available)
        func `R-23: more events parked for an hour than may be in flight hold up nobody, also over restarts`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary)
            let sink = try FaultSink { id, _ in id.hasPrefix("bad") ? .answer(409) : .answer(204) }
            try rig.subscribe("s", sink, config: #""ackWait":2,"maxInFlight":4,"maxAttempts":50,"backoff":[3600]"#)
            let bad = (0..<9).map { "bad\($0)" }
            try rig.publish(bad)
            #expect(waitUntil(timeout: .seconds(60)) { sink.histories.count == bad.count }, "\(sink.histories.keys)")
            var good = (0..<100).map { "good-a\($0)" }
            try rig.publish(good)
            #expect(waitUntil(timeout: .seconds(60)) { sink.takenCount == good.count }, "\(sink.takenCount)")
            #expect(rig.consumer("s")["num_ack_pending"].int == bad.count)
            for (name, ends) in [("gateway", rig.gateway.kill), ("server", rig.server.kill)] {
                ends()
                if name == "server" { try rig.server.start() } else { try rig.restart("s") }
                let more = (0..<100).map { "good-\(name)\($0)" }
                try rig.publish(more)
                good += more
                #expect(waitUntil(timeout: .seconds(60)) { sink.taken == Set(good) }, "\(name): \(sink.takenCount)")
            }
            #expect(
                waitUntil(timeout: .seconds(30)) { rig.consumer("s")["num_ack_pending"].int == bad.count },
                "\(rig.consumer("s").text)"
            )
            #expect(rig.consumer("s")["num_pending"].int == 0)
            #expect(try rig.letters().isEmpty)
        }

        @Test(arguments: NATSServer.available)
        func `R-23: good events flow through a flood of poison while the server is killed`(
            binary: NATSServer.Binary
        ) throws {
            let seed = FaultRandom.chosenSeed()
            var random = FaultRandom(seed: seed, of: "poison")
            let rig = try FaultRig(binary, replicas: 2)
            let sink = try FaultSink { id, _ in id.hasPrefix("bad") ? .answer(409) : .answer(204) }
            try rig.subscribe("s", sink, config: #""ackWait":2,"maxInFlight":16,"maxAttempts":4,"backoff":[1]"#)
            var ids = (0..<600).map { "bad\($0)" } + (0..<300).map { "good\($0)" }
            ids.shuffle(using: &random)
            try rig.publish(Array(ids[..<450]))
            let goal = sink.attempts + Int.random(in: 1...200, using: &random)
            _ = waitUntil(timeout: .seconds(20)) { sink.attempts >= goal }
            rig.server.kill()
            try rig.server.start()
            try rig.publish(Array(ids[450...]))
            let good = Set(ids.filter { $0.hasPrefix("good") })
            #expect(waitUntil(timeout: .seconds(90)) { sink.taken == good }, "seed \(seed): \(sink.takenCount)")
            #expect(rig.waitUntilSettled("s"), "seed \(seed): \(rig.consumer("s").text)")
            let letters = try rig.letters()
            #expect(Set(letters.map(\.id)) == Set(ids).subtracting(good), "seed \(seed)")
            #expect(letters.count == 600, "seed \(seed)")
            #expect(letters.allSatisfy { $0.reason == "retries-exhausted" && $0.attempts >= 4 }, "seed \(seed)")
        }

        @Test(arguments: NATSServer.available)
        func `R-29: sinks that hang, trickle or refuse do not keep events from the healthy ones`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary, settings: ["SINK_TIMEOUT": "120"])
            let hanging = try FaultSink { _, _ in .hang }
            let trickling = try FaultSink { _, _ in .trickle }
            let refusing = try FaultSink()
            refusing.stop()
            let healthy = try (0..<8).map { _ in try FaultSink() }
            let config = #""ackWait":5,"maxInFlight":32,"backoff":[1]"#
            try rig.subscribe("hanging", hanging, config: config)
            try rig.subscribe("trickling", trickling, config: config)
            try rig.subscribe("refusing", refusing, config: config)
            for (number, sink) in healthy.enumerated() { try rig.subscribe("healthy\(number)", sink, config: config) }
            let ids = (0..<300).map { "e\($0)" }
            try rig.publish(ids)
            for sink in healthy {
                #expect(waitUntil(timeout: .seconds(90)) { sink.takenCount == ids.count }, "\(sink.takenCount)")
            }
            // All that while the others had not got rid of a single one.
            #expect(hanging.stuck == 32 && hanging.attempts == 32, "\(hanging.stuck) of \(hanging.attempts)")
            #expect(trickling.stuck == 32 && trickling.attempts == 32, "\(trickling.stuck) of \(trickling.attempts)")
            for number in healthy.indices { #expect(rig.waitUntilSettled("healthy\(number)")) }
            for id in ["hanging", "trickling", "refusing"] {
                let info = rig.consumer(id)
                #expect(
                    (info["num_pending"].int ?? 0) + (info["num_ack_pending"].int ?? 0) == ids.count,
                    "\(info.text)"
                )
            }
            #expect(healthy.allSatisfy { $0.attempts == ids.count })
        }
    }
}
