import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-22 and R-24: a gateway killed while it writes dead letters, or while it puts them back.
    @Suite(.serialized) struct DeadLetterCrashTests {
        /// The four steps of dead-lettering at which a gateway is killed.
        private static let steps = [
            StepRelay.Step("HPUB dl.", passes: false), StepRelay.Step("HPUB dl.", passes: true),
            StepRelay.Step("+ACK", passes: false), StepRelay.Step("+ACK", passes: true),
        ]

        @Test(arguments: NATSServer.available)
        func `R-22: killed at each step of dead-lettering, each event has exactly one dead letter`(
            binary: NATSServer.Binary
        ) throws {
            let seed = FaultRandom.chosenSeed()
            var random = FaultRandom(seed: seed, of: "steps")
            let made = Shared<StepRelay?>(nil)
            let rig = try FaultRig(binary) { port in
                let relay = StepRelay(target: port)
                made.withLock { $0 = relay }
                return relay.port
            }
            let relay = try #require(made.current)
            let sink = try FaultSink { _, _ in .answer(422) }
            try rig.subscribe("s", sink, config: #""ackWait":1,"maxInFlight":8,"backoff":[0]"#)
            var ids: [String] = []
            for round in 0..<2 * FaultRandom.scale {
                for (number, step) in Self.steps.enumerated() {
                    relay.stop(at: step, after: Int.random(in: 0...12, using: &random))
                    let some = (0..<40).map { "e\(round)-\(number)-\($0)" }
                    ids += some
                    let publisher = rig.publisher
                    let isPublished = Shared(false)
                    // While the world stands still nothing is acknowledged.
                    Thread {
                        let done = publisher.publish(some, type: "com.example.faults")
                        isPublished.withLock { $0 = done }
                    }.start()
                    try #require(
                        waitUntil(timeout: .seconds(60)) { relay.isStopped },
                        "seed \(seed): step \(number) does not come: \(rig.consumer("s").text)"
                    )
                    rig.gateway.kill()
                    relay.proceed()
                    try rig.restart("s")
                    try #require(waitUntil(timeout: .seconds(60)) { isPublished.current }, "seed \(seed)")
                }
            }
            try Self.expectOneLetterEach(rig, sink, ids, seed)
        }

        @Test(arguments: NATSServer.available)
        func `R-22: killed at random moments while everything is dead-lettered, nothing is lost or doubled`(
            binary: NATSServer.Binary
        ) throws {
            let seed = FaultRandom.chosenSeed()
            var random = FaultRandom(seed: seed, of: "moments")
            let rig = try FaultRig(binary, replicas: 2)
            let sink = try FaultSink { _, _ in .answer(400) }
            try rig.subscribe("s", sink, config: #""ackWait":1,"maxInFlight":64,"backoff":[0]"#)
            let (rounds, size) = (5 * FaultRandom.scale, 300)
            let ids = (0..<rounds * size).map { "e\($0)" }
            for round in 0..<rounds {
                try rig.publish(Array(ids[round * size..<(round + 1) * size]))
                let goal = sink.attempts + Int.random(in: 0...100, using: &random)
                _ = waitUntil(timeout: .seconds(20)) {
                    sink.attempts >= goal || sink.histories.count == size * (round + 1)
                }
                let victim = Int.random(in: 0...1, using: &random)
                rig.gateways[victim].kill()
                try rig.restart("s", at: victim)
            }
            try Self.expectOneLetterEach(rig, sink, ids, seed)
        }

        private static func expectOneLetterEach(
            _ rig: FaultRig,
            _ sink: FaultSink,
            _ ids: [String],
            _ seed: UInt64
        ) throws {
            #expect(rig.waitUntilSettled("s"), "seed \(seed): \(rig.consumer("s").text)")
            let letters = try rig.letters()
            let copies = letters.reduce(into: [:]) { $0[$1.id, default: 0] += 1 }
            #expect(Set(ids).subtracting(copies.keys).isEmpty, "seed \(seed): lost")
            #expect(copies.filter { $0.value != 1 }.isEmpty, "seed \(seed): doubled")
            #expect(copies.count == ids.count, "seed \(seed)")
            #expect(Set(letters.map(\.reason)) == ["rejected"], "seed \(seed)")
            #expect(Set(sink.histories.keys) == Set(ids))
        }

        @Test(arguments: NATSServer.available)
        func `R-24: a redrive killed again and again puts back everything, each once`(
            binary: NATSServer.Binary
        ) throws {
            let seed = FaultRandom.chosenSeed()
            var random = FaultRandom(seed: seed, of: "redrive")
            let rig = try FaultRig(binary, settings: ["DUPLICATE_WINDOW": "600"])
            let isWell = Shared(false)
            let sink = try FaultSink { _, _ in .answer(isWell.current ? 204 : 400) }
            try rig.subscribe("s", sink, config: #""ackWait":1,"maxInFlight":200,"backoff":[0]"#)
            let ids = (0..<1500 * FaultRandom.scale).map { "e\($0)" }
            try rig.publish(ids)
            #expect(rig.waitUntilSettled("s"), "seed \(seed)")
            try #require(rig.messageCount("SLUICE_DEAD_LETTERS") == ids.count)
            isWell.withLock { $0 = true }
            var kills = 0
            var left = ids.count
            while left > 0, kills < 100 {
                // A call that is cut off by the kill has no answer.
                let port = rig.gateway.port
                let isDone = Shared(false)
                Thread {
                    Self.redrive(port)
                    isDone.withLock { $0 = true }
                }.start()
                let goal = max(0, left - Int.random(in: 1...max(2, ids.count / 4), using: &random))
                _ = waitUntil(timeout: .seconds(60)) {
                    isDone.current || rig.messageCount("SLUICE_DEAD_LETTERS") <= goal
                }
                rig.gateway.kill()
                kills += 1
                left = rig.messageCount("SLUICE_DEAD_LETTERS")
                // Removed only when stored.
                let stored = rig.messageCount(GatewayStack.stream) - ids.count
                #expect(stored >= ids.count - left, "seed \(seed): \(left) left, \(stored) put back")
                try #require(waitUntil(timeout: .seconds(30)) { isDone.current })
                try rig.restart("s")
            }
            #expect(left == 0 && kills >= 3, "seed \(seed): \(left) left after \(kills) kills")
            #expect(rig.waitUntilSettled("s"), "seed \(seed): \(rig.consumer("s").text)")
            #expect(sink.taken == Set(ids), "seed \(seed)")
            // Its own and the one that was put back: within the duplicate window not one more.
            let copies = try rig.copies(in: GatewayStack.stream)
            #expect(copies.filter { $0.value != 2 }.isEmpty, "seed \(seed)")
            #expect(try rig.letters().isEmpty)
        }

        private static func redrive(_ port: UInt16) {
            let request = HTTPRequest(
                "POST",
                "/v1/dead-letters:redrive",
                headers: [("X-Tenant-ID", FaultRig.tenant), ("Content-Type", "application/json")],
                body: Array(#"{"filter":{"subscription":"s"}}"#.utf8)
            )
            _ = try? HTTPConnection(port: port, timeout: .seconds(60)).exchange(request)
        }
    }
}
