import Foundation
import Glibc
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-20 and R-21: how long is waited for a receiver, and when it is tried again.
    @Suite(.serialized) struct PatienceTests {
        @Test func `R-20: a receiver that takes three times ackWait gets each event once`() throws {
            let rig = try FaultRig(replicas: 2, settings: ["SINK_TIMEOUT": "30"])
            let sink = try FaultSink { _, _ in .late(.seconds(6)) }
            try rig.subscribe("s", sink, config: #""ackWait":2,"maxInFlight":4"#)
            let ids = (0..<8).map { "e\($0)" }
            try rig.publish(ids)
            #expect(waitUntil(timeout: .seconds(90)) { sink.takenCount == ids.count })
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            #expect(sink.histories.allSatisfy { $0.value.arrivals.count == 1 }, "\(sink.attempts)")
            #expect(try rig.delivered("s", at: 0) + rig.delivered("s", at: 1) == ids.count)
        }

        @Test(arguments: NATSServer.available)
        func `R-20: a gateway that stands still for longer than ackWait means at most two deliveries`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary, replicas: 2, settings: ["SINK_TIMEOUT": "60"])
            let sink = try FaultSink { _, _ in .hold }
            try rig.subscribe("s", sink, config: #""ackWait":2,"maxInFlight":4"#)
            let ids = (0..<4).map { "e\($0)" }
            try rig.publish(ids)
            #expect(waitUntil(timeout: .seconds(30)) { sink.stuck == ids.count })
            let before = try (0...1).map { try rig.status("s", at: $0)["thisReplica"]["inFlight"].int ?? 0 }
            #expect(before.reduce(0, +) == ids.count)
            let busy = before[0] > 0 ? 0 : 1
            Glibc.kill(rig.gateways[busy].pid, SIGSTOP)
            let again = Self.waitForSecondAttempts(sink, before[busy])
            Glibc.kill(rig.gateways[busy].pid, SIGCONT)
            #expect(again, "\(sink.histories)")
            sink.release()
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            #expect(sink.taken == Set(ids))
            #expect(sink.histories.allSatisfy { $0.value.arrivals.count <= 2 }, "\(sink.histories)")
            #expect(try rig.letters().isEmpty)
        }

        private static func waitForSecondAttempts(_ sink: FaultSink, _ count: Int) -> Bool {
            waitUntil(timeout: .seconds(60)) {
                sink.histories.values.count { $0.arrivals.count == 2 } == count
            }
        }

        @Test func `R-21: attempts are no earlier than the schedule, the Retry-After and the order say`() throws {
            let rig = try FaultRig()
            let sink = try FaultSink { id, before in
                switch (id, before) {
                case ("schedule", 0..<3): .answer(500)
                case ("seconds", 0): .answer(409, retryAfter: "3")
                case ("date", 0): .answer(408, retryAfter: Self.date(in: 4))
                case ("last", _): .answer(404)
                default: .answer(204)
                }
            }
            try rig.subscribe("s", sink, config: #""ackWait":5,"maxAttempts":4,"backoff":[1,2,3]"#)
            // Many that go well keep the circuit breaker closed.
            try rig.publish((0..<20).map { "good\($0)" } + ["schedule", "seconds", "date", "last"])
            #expect(waitUntil(timeout: .seconds(60)) { sink.takenCount == 23 }, "\(sink.histories)")
            #expect(rig.waitUntilSettled("s"))
            // ±20 %
            let least = [0.8, 1.6, 2.4].map { Duration.seconds($0) }
            for id in ["schedule", "last"] {
                let arrivals = sink.history(id).arrivals
                #expect(arrivals.count == 4, "\(id)")
                for (index, gap) in zip(arrivals, arrivals.dropFirst()).map({ $1 - $0 }).enumerated() {
                    #expect(gap >= least[index], "\(id): attempt \(index + 2) came after \(gap)")
                }
            }
            let seconds = sink.history("seconds").arrivals
            #expect(seconds.count == 2 && seconds[1] - seconds[0] >= .seconds(3))
            let date = sink.history("date").arrivals
            // The date has whole seconds.
            #expect(date.count == 2 && date[1] - date[0] >= .seconds(3))
            let letters = try rig.letters()
            #expect(letters.map(\.id) == ["last"])
            #expect(letters.map(\.attempts) == [4])
        }

        @Test func `R-21: a sink that says 503 with Retry-After is left alone by everything in hand`() throws {
            let rig = try FaultRig()
            let sink = try FaultSink { id, before in
                id == "e0" && before == 0 ? .answer(503, retryAfter: "3") : .answer(204)
            }
            try rig.subscribe("s", sink, config: #""ackWait":2,"maxInFlight":1,"backoff":[0]"#)
            let ids = (0..<12).map { "e\($0)" }
            try rig.publish(ids)
            #expect(waitUntil(timeout: .seconds(60)) { sink.takenCount == ids.count })
            let first = try #require(sink.history("e0").arrivals.first)
            let early = sink.histories.filter { $0.value.arrivals.contains { $0 > first && $0 - first < .seconds(3) } }
            #expect(early.isEmpty, "\(early.keys.sorted())")
            #expect(rig.waitUntilSettled("s"))
            // Waiting longer than ackWait was no attempt.
            #expect(sink.attempts == ids.count + 1)
        }

        @Test(arguments: NATSServer.available)
        func `R-21: 410 ends the attempts of every replica, and what was not sent stays`(
            binary: NATSServer.Binary
        ) throws {
            let rig = try FaultRig(binary, replicas: 3)
            let isGone = Shared(true)
            let sink = try FaultSink { _, _ in isGone.current ? .answer(410) : .answer(204) }
            try rig.subscribe("s", sink, config: #""ackWait":2,"maxInFlight":2,"backoff":[0]"#)
            let ids = (0..<60).map { "e\($0)" }
            try rig.publish(ids)
            for replica in 0..<3 {
                #expect(
                    try waitUntil(timeout: .seconds(30)) {
                        try rig.status("s", at: replica)["state"].string == "disabled"
                    }
                )
            }
            // Those under way end as dead letters, with their reason; two a replica at a time.
            let isQuiet = waitUntil(timeout: .seconds(30)) {
                let info = rig.consumer("s")
                return info["num_ack_pending"].int == 0
                    || (try? rig.letters().count) == sink.attempts && sink.stuck == 0
            }
            #expect(isQuiet)
            #expect(sink.attempts < ids.count)
            isGone.withLock { $0 = false }
            #expect(try rig.call("POST", "/v1/subscriptions/s:resume").status == 200)
            #expect(rig.waitUntilSettled("s"), "\(rig.consumer("s").text)")
            let letters = try rig.letters()
            #expect(letters.allSatisfy { $0.reason == "gone" }, "\(letters)")
            #expect(Set(letters.map(\.id)).isDisjoint(with: sink.taken))
            #expect(Set(letters.map(\.id)).union(sink.taken) == Set(ids))
            #expect(letters.count == Set(letters.map(\.id)).count)
        }

        /// An HTTP date so many seconds ahead.
        private static func date(in seconds: Double) -> String {
            let format = DateFormatter()
            format.locale = Locale(identifier: "en_US_POSIX")
            format.timeZone = TimeZone(identifier: "GMT")
            format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
            return format.string(from: Date().addingTimeInterval(seconds))
        }
    }
}
