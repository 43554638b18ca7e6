import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-28: clients that vanish from their long polls.
    @Suite(.serialized) struct LongPollTests {
        @Test func `R-28: two hundred polls aborted at any moment strand neither a request nor an event`() throws {
            let seed = FaultRandom.chosenSeed()
            var random = FaultRandom(seed: seed, of: "polls")
            let rig = try FaultRig(replicas: 2)
            try rig.subscribe("p", nil, config: #""ackWait":2,"maxAttempts":100"#)
            let ids = (0..<60).map { "e\($0)" }
            var waiting: [HTTPConnection] = []
            for poll in 0..<200 * FaultRandom.scale {
                let connection = try rig.gateways[poll % 2].connect()
                let max = Int.random(in: 1...10, using: &random)
                let target = "/v1/subscriptions/p:receive?maxEvents=\(max)&maxWaitTime=120"
                try connection.send(HTTPRequest("POST", target, headers: [("X-Tenant-ID", FaultRig.tenant)]))
                waiting.append(connection)
                // Some are gone before they are read, some wait, some have an answer on its way.
                while waiting.count > Int.random(in: 0...20, using: &random) {
                    waiting.remove(at: Int.random(in: 0..<waiting.count, using: &random))
                }
                if poll % 10 == 5 {
                    let next = poll / 10 % 20 * 3
                    try rig.publish(Array(ids[next..<next + 3]))
                }
            }
            waiting = []
            let note: Comment = "seed \(seed)"
            var found: Set<String> = []
            let isComplete = try waitUntil(timeout: .seconds(90)) {
                let answer = try rig.call("POST", "/v1/subscriptions/p:receive?maxEvents=100&maxWaitTime=3")
                let events = answer.json["value"].items
                found.formUnion(events.compactMap { $0["event"]["id"].string })
                if !events.isEmpty { try acknowledge(rig, events) }
                return rig.consumer("p")["num_ack_pending"].int == 0 && found.count == ids.count
            }
            #expect(isComplete, "seed \(seed): \(found.count) of \(ids.count): \(rig.consumer("p").text)")
            #expect(found == Set(ids), note)
            #expect(
                waitUntil(timeout: .seconds(60)) {
                    let info = rig.consumer("p")
                    return info["num_waiting"].int == 0 && info["num_ack_pending"].int == 0
                        && info["num_pending"].int == 0
                },
                "seed \(seed): \(rig.consumer("p").text)"
            )
            #expect(try rig.letters().isEmpty, note)
        }

        @Test func `R-28: an event outlives polls that vanish as it comes`() throws {
            let rig = try FaultRig()
            // A client that vanishes in the moment in which the event is handed to it uses up one attempt.
            try rig.subscribe("p", nil, config: #""ackWait":3,"maxAttempts":100"#)
            for round in 0..<10 {
                let polls = try (0..<20).map { _ in
                    let connection = try rig.gateway.connect()
                    let target = "/v1/subscriptions/p:receive?maxWaitTime=120"
                    try connection.send(HTTPRequest("POST", target, headers: [("X-Tenant-ID", FaultRig.tenant)]))
                    return connection
                }
                // The first round has none to hand out; in the others nobody is there any more when it could be.
                withExtendedLifetime(polls) {}
                if round == 0 { try rig.publish(["e"]) }
            }
            let target = "/v1/subscriptions/p:receive?maxWaitTime=60"
            let answer = try rig.call("POST", target, timeout: .seconds(90))
            let event = answer.json["value"][0]
            #expect(event["event"]["id"].string == "e", "\(answer.text)")
            try acknowledge(rig, [event])
            #expect(rig.waitUntilSettled("p"), "\(rig.consumer("p").text)")
            #expect(try rig.letters().isEmpty)
        }

        private func acknowledge(_ rig: FaultRig, _ events: [WireJSON]) throws {
            let tokens = events.map { quoted($0["brokerProperties"]["lockToken"].string ?? "") }
            _ = try rig.call(
                "POST",
                "/v1/subscriptions/p:acknowledge",
                "{\"lockTokens\":[\(tokens.joined(separator: ","))]}"
            )
        }
    }
}
