import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-10 under load: the stream is changed while clients publish.
    @Suite(.serialized) struct StreamDriftTests {
        /// A change of the stream's configuration, as text in its JSON.
        enum Drift: String, CaseIterable, CustomTestStringConvertible {
            case discardingOld, otherSubjects, denyingDeletion, noAcknowledgement

            var testDescription: String { rawValue }

            /// The field that `/health` has to name.
            var field: String {
                switch self {
                case .discardingOld: "max_msgs"
                case .otherSubjects: "subjects"
                case .denyingDeletion: "deny_purge"
                case .noAcknowledgement: "no_ack"
                }
            }

            /// The server refuses to undo it.
            var isForEver: Bool { self == .denyingDeletion }

            func apply(to config: String) -> String {
                switch self {
                case .discardingOld:
                    config.replacing("\"discard\":\"new\"", with: "\"discard\":\"old\"")
                        .replacing("\"max_msgs\":-1", with: "\"max_msgs\":10")
                case .otherSubjects: config.replacing("\"ce.>\"", with: "\"ce.elsewhere.>\"")
                case .denyingDeletion: config.replacing("\"deny_purge\":false", with: "\"deny_purge\":true")
                case .noAcknowledgement: "{\"no_ack\":true,\(config.dropFirst())"
                }
            }
        }

        /// A gateway with clients that publish all the time.
        private struct LoadedStack {
            let stack: GatewayStack
            let load: SteadyLoad

            init(_ binary: NATSServer.Binary) throws {
                stack = try GatewayStack(binary, settings: ["PUBLISH_TIMEOUT": "1"])
                load = SteadyLoad(stack.gateway, clients: 4)
                try #require(load.waitForProgress())
            }

            var config: String {
                get throws { try stack.reader().api("STREAM.INFO.\(GatewayStack.stream)")["config"].text }
            }

            func api(_ call: String, _ payload: String = "") throws -> WireJSON {
                try stack.reader().api("STREAM.\(call).\(GatewayStack.stream)", payload)
            }

            /// Waits until the gateway has noticed, and then for many refusals: none of the answers is a 202.
            func expectRefusals(naming field: String) throws {
                let health = Shared("")
                let isNoticed = waitUntil(timeout: .seconds(30)) {
                    health.withLock { $0 = (try? stack.gateway.get("/health").text) ?? "" }
                    return health.current.contains(field) && stack.gateway.status(of: "/health/ready") == 503
                }
                try #require(isNoticed, "\(field) is not named: \(health.current)")
                // What was under way has been answered when each client has had several refusals.
                try #require(waitForRefusals(40))
                let acknowledged = load.count(of: 202)
                try #require(waitForRefusals(100))
                #expect(load.count(of: 202) == acknowledged, "acknowledged although the gateway is not ready")
                #expect(stack.gateway.status(of: "/health/ready") == 503)
                #expect(stack.gateway.status(of: "/health/live") == 200)
            }

            private func waitForRefusals(_ count: Int) -> Bool {
                let before = load.count(of: 503)
                return waitUntil(timeout: .seconds(60)) { load.count(of: 503) >= before + count }
            }
        }

        @Test(arguments: NATSServer.available, Drift.allCases)
        func `R-10: a setting changed under load stops the 202s, and put back they come again`(
            binary: NATSServer.Binary,
            drift: Drift
        ) throws {
            let loaded = try LoadedStack(binary)
            let config = try loaded.config
            let changed = drift.apply(to: config)
            try #require(changed != config)
            let answer = try loaded.api("UPDATE", changed)
            try #require(answer["error"].isNull, "\(answer.text)")
            try loaded.expectRefusals(naming: drift.field)
            let firstKept = try loaded.api("INFO")["state"]["first_seq"].int ?? 0
            if drift.isForEver {
                #expect(try !loaded.api("UPDATE", config)["error"].isNull)
                #expect(loaded.stack.gateway.status(of: "/health/ready") == 503)
                #expect(loaded.load.stop())
                return
            }
            try #require(try loaded.api("UPDATE", config)["error"].isNull)
            #expect(loaded.stack.waitUntilReady())
            #expect(loaded.load.waitForProgress())
            #expect(loaded.load.stop())

            // The changed stream itself threw events away before the change was seen, the oldest first: those and no others.
            let thrownAway = drift == .discardingOld ? 1..<firstKept : 0..<0
            if drift == .discardingOld { #expect(firstKept > 1) }
            try loaded.load.answers.expectStored(loaded.stack.reader(), gone: thrownAway)
        }

        @Test(arguments: NATSServer.available)
        func `R-10: retention changed under load is refused by the server or stops the 202s`(
            binary: NATSServer.Binary
        ) throws {
            let loaded = try LoadedStack(binary)
            let config = try loaded.config
            let changed = config.replacing("\"retention\":\"limits\"", with: "\"retention\":\"interest\"")
            try #require(changed != config)
            if try loaded.api("UPDATE", changed)["error"].isNull {
                try loaded.expectRefusals(naming: "retention")
                try #require(try loaded.api("UPDATE", config)["error"].isNull)
                #expect(loaded.stack.waitUntilReady())
            }
            #expect(loaded.load.waitForProgress())
            #expect(loaded.load.stop())
            #expect(try loaded.api("INFO")["config"]["retention"].string == "limits")
            #expect(loaded.stack.gateway.status(of: "/health/ready") == 200)
        }

        @Test(arguments: NATSServer.available)
        func `R-10: a stream sealed under load stops the 202s, and one that is deleted is made again`(
            binary: NATSServer.Binary
        ) throws {
            let loaded = try LoadedStack(binary)
            let sealed = "{\"sealed\":true,\(try loaded.config.replacing("\"sealed\":false,", with: "").dropFirst())"
            let answer = try loaded.api("UPDATE", sealed)
            try #require(answer["error"].isNull, "\(answer.text)")
            try loaded.expectRefusals(naming: "sealed")
            try loaded.load.answers.expectStored(loaded.stack.reader())
            try #require(try loaded.api("DELETE")["success"].bool == true)
            #expect(loaded.stack.waitUntilReady())
            #expect(loaded.load.waitForProgress())

            // Deleted while events are on their way; clients that start when the new stream is there lose nothing.
            try #require(try loaded.api("DELETE")["success"].bool == true)
            let isMade = try waitUntil(timeout: .seconds(30)) { try loaded.api("INFO")["error"].isNull }
            try #require(isMade, "the stream is not made again")
            #expect(loaded.stack.waitUntilReady())
            let later = SteadyLoad(loaded.stack.gateway, clients: 2)
            #expect(later.waitForProgress())
            #expect(later.waitForProgress())
            #expect(later.stop())
            #expect(loaded.load.stop())
            try later.answers.expectStored(loaded.stack.reader())
        }
    }
}
