import Foundation
import Glibc
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-17 (and S-06, S-07): whatever receivers, gateways and the server do, nothing is lost and nothing ends silently.
    @Suite(.serialized) struct ConservationTests {
        /// What one run is made of.
        struct Plan: Sendable, CustomTestStringConvertible {
            let binary: NATSServer.Binary
            let replicas: Int
            let events: Int
            let kills: Int
            /// Whether the server is killed too.
            let killsServer: Bool

            var testDescription: String {
                "\(binary), \(replicas) gateways, \(killsServer ? "all killed" : "gateways killed")"
            }

            static let all: [Plan] = NATSServer.available.flatMap { binary in
                [
                    Plan(binary: binary, replicas: 1, events: 1200, kills: 4, killsServer: false),
                    Plan(binary: binary, replicas: 3, events: 1800, kills: 6, killsServer: true),
                ]
            }
        }

        private static let maxAttempts = 3

        @Test(arguments: Plan.all)
        func `R-17: stored is settled and dead-lettered, whatever the receiver answers and whoever is killed`(
            plan: Plan
        ) throws {
            let seed = FaultRandom.chosenSeed()
            let scale = FaultRandom.scale
            let rig = try FaultRig(plan.binary, replicas: plan.replicas)
            let sink = try FaultSink { id, before in Self.outcome(seed, id, before) }
            try rig.subscribe(
                "s",
                sink,
                config: #""backoff":[0,1],"maxAttempts":\#(Self.maxAttempts),"ackWait":2,"maxInFlight":48"#
            )
            let ids = (0..<plan.events * scale).map { "e\($0)" }
            let publisher = rig.publisher
            let isPublished = Shared<Bool?>(nil)
            Thread {
                let done = publisher.publish(ids, type: "com.example.faults")
                isPublished.withLock { $0 = done }
            }.start()
            try disturb(rig, sink, plan, seed, ids.count)
            let note: Comment = "seed \(seed)"
            try #require(waitUntil(timeout: .seconds(120)) { isPublished.current != nil }, note)
            #expect(isPublished.current == true, note)
            #expect(rig.waitUntilSettled("s", timeout: .seconds(180)), "seed \(seed): \(rig.consumer("s").text)")
            let verdict = try FaultVerdict(
                rig,
                sink,
                maxAttempts: Self.maxAttempts,
                countsAreKept: !plan.killsServer
            )
            #expect(verdict == FaultVerdict(), note)
            let stored = try rig.copies(in: GatewayStack.stream)
            #expect(stored.keys.sorted() == ids.sorted(), note)
            let letters = try rig.letters()
            #expect(!letters.isEmpty && letters.count < ids.count / 4, "seed \(seed): \(letters.count) dead letters")
        }

        /// Kills whom chance says, whenever chance says, and starts them again.
        private func disturb(_ rig: FaultRig, _ sink: FaultSink, _ plan: Plan, _ seed: UInt64, _ count: Int) throws {
            var random = FaultRandom(seed: seed, of: "faults")
            for kill in 0..<plan.kills * FaultRandom.scale {
                // Somewhere on the way: so many attempts later, and a moment.
                let goal = sink.attempts + Int.random(in: 1...max(2, count / (plan.kills * 2)), using: &random)
                let pause = Int.random(in: 0...40, using: &random)
                _ = waitUntil(timeout: .seconds(20)) { sink.attempts >= goal || sink.takenCount > count * 9 / 10 }
                _ = waitUntil(timeout: .milliseconds(pause)) { false }
                let victim = Int.random(in: 0..<plan.replicas, using: &random)
                let other = Int.random(in: 0..<plan.replicas, using: &random)
                let takesServer = plan.killsServer && kill % 3 == 1
                let victims = Set([victim, other])
                for victim in victims { rig.gateways[victim].kill() }
                if takesServer {
                    rig.server.kill()
                    try rig.server.start()
                }
                for victim in victims { try rig.gateways[victim].start() }
            }
        }

        /// Most attempts go well; the others fail in every way.
        private static func outcome(_ seed: UInt64, _ id: String, _ before: Int) -> FaultSink.Act {
            var random = FaultRandom(seed: seed, of: id, before)
            return switch Int.random(in: 0..<200, using: &random) {
            case 0..<6: .answer(500)
            case 6..<10: .answer(503)
            case 10..<14: .answer(409)
            case 14..<18: .answer(400)
            case 18..<20: .answer(422)
            case 20..<22: .answer(302)
            case 22..<24: .answer(404)
            case 24..<30: .reset
            case 30..<36: .half
            case 36: .hang
            case 37: .trickle
            case 38..<44: .late(.milliseconds(300))
            default: .answer(before % 2 == 0 ? 204 : 200)
            }
        }
    }
}
