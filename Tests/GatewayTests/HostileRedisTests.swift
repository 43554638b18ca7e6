import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// S-31 and R-30: whatever is at `REDIS_URL`, publishing does not notice.
    @Suite(.serialized) struct HostileRedisTests {
        /// What a Redis does that means harm, and how to get it to do so.
        private struct Behaviour: Sendable {
            let name: String
            var greeting = ScriptedRedis.Greeting.normal
            var reaction = ScriptedRedis.Reaction.silence
            /// Sent without having been asked for.
            var push: String?

            static func answer(_ name: String, _ text: String) -> Behaviour {
                Behaviour(name: name, reaction: .raw(text))
            }
        }

        private static let behaviours: [Behaviour] = [
            .answer("H-03: nine levels", String(repeating: "*1\r\n", count: 9) + ":1\r\n"),
            .answer("H-03: a thousand levels", String(repeating: "*1\r\n", count: 1000)),
            .answer("H-01: 2^30 elements", "*1073741824\r\n"),
            .answer("H-01: 2^31 elements", "*2147483648\r\n"),
            .answer("H-02: a negative length", "$-2\r\n"),
            .answer("H-02: a negative count", "*-2\r\n"),
            .answer("garbage", "HTTP/1.1 400 Bad Request\r\n\r\n"),
            .answer("NUL", "\0\0\0\0"),
            .answer("an error for everything", "-ERR no\r\n"),
            .answer("the script is never known", "-NOSCRIPT no\r\n"),
            .answer("read only", "-READONLY no\r\n"),
            .answer("out of memory", "-OOM no\r\n"),
            .answer("loading", "-LOADING no\r\n"),
            .answer("another type", "$2\r\nOK\r\n"),
            .answer("too few counts", "*1\r\n:1\r\n"),
            .answer("H-05: two replies", "+OK\r\n+OK\r\n"),
            Behaviour(name: "H-05: a reply to nothing", push: "+OK\r\n"),
            Behaviour(name: "H-05: a message to no subscriber", push: "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n"),
            Behaviour(name: "silent", reaction: .silence),
            Behaviour(name: "closes", reaction: .close),
            Behaviour(name: "resets", reaction: .reset),
            Behaviour(name: "half a reply, then the end", reaction: .all([.raw("*4\r\n:1\r\n"), .close])),
            Behaviour(name: "S-31: an endless string", reaction: .endless("$536870912\r\n", filler)),
            Behaviour(name: "S-31: an endless line", reaction: .endless("+", filler)),
            Behaviour(name: "S-31: endless elements", reaction: .endless("*262144\r\n", ":1\r\n:1\r\n:1\r\n:1\r\n")),
            Behaviour(name: "S-31: endless replies", reaction: .endless("", "$-1\r\n")),
            Behaviour(name: "trickles", reaction: .all([.raw("$1000000\r\n"), .trickle("x", .milliseconds(100))])),
            Behaviour(name: "never greets", greeting: .silent),
            Behaviour(name: "greets with garbage", greeting: .raw("HTTP/1.1 400 Bad Request\r\n\r\n")),
            Behaviour(name: "refuses everything", greeting: .always("-ERR no\r\n")),
            Behaviour(name: "wants a password", greeting: .always("-NOAUTH Authentication required.\r\n")),
            Behaviour(name: "closes at once", greeting: .close),
        ]
        private static let filler = String(repeating: "x", count: 1024)

        private static func publish(_ count: Int, _ gateway: GatewayProcess) throws -> Int {
            let connection = try gateway.connect()
            return try (0..<count).count { _ in
                try connection.exchange(TestEvent().structured(headers: [("X-Tenant-ID", "acme")])).status == 202
            }
        }

        private static func accepted(_ gateway: GatewayProcess) -> Int? {
            try? gateway.get("/v1/tenants/acme/metrics").json["accepted"].int
        }

        @Test func `S-31: a hostile Redis stops neither publishing nor the process, and counts reach a good one`()
            throws
        {
            let now = Shared(Behaviour(name: "ends the connection", reaction: .close))
            let hostile = try ScriptedRedis { _ in now.current.reaction }
            let server = try NATSServer()
            let gateway = try GatewayProcess(natsURL: server.url, settings: ["REDIS_URL": hostile.url])
            var sent = try Self.publish(20, gateway)
            let pid = gateway.pid
            let before = try ProcessUse(gateway)
            for behaviour in Self.behaviours {
                now.withLock { $0 = behaviour }
                hostile.setGreeting(behaviour.greeting)
                hostile.closeConnections()
                let (commands, connections) = (hostile.commands.count, hostile.connectionCount)
                let published = try Self.publish(10, gateway)
                #expect(published == 10, "\(behaviour.name)")
                sent += published
                let hasHappened = waitUntil(timeout: .seconds(30)) {
                    if case .normal = behaviour.greeting, behaviour.push == nil {
                        return hostile.commands.count > commands
                    }
                    return hostile.connectionCount > connections
                }
                #expect(hasHappened, "\(behaviour.name): Redis was not asked")
                if let push = behaviour.push {
                    hostile.push(push)
                    #expect(waitUntil(timeout: .seconds(30)) { hostile.connectionCount > connections + 1 })
                }
                #expect(try Self.publish(10, gateway) == 10, "\(behaviour.name)")
                sent += 10
                #expect(gateway.status(of: "/health/live") == 200, "\(behaviour.name)")
                #expect(gateway.status(of: "/health/ready") == 200, "\(behaviour.name)")
                let use = try ProcessUse(gateway)
                #expect(use.residentBytes < before.residentBytes + 96 << 20, "\(behaviour.name): \(use) \(before)")
            }
            #expect(gateway.pid == pid && gateway.exitStatus == nil)
            hostile.stop()
            let redis = try RedisServer(port: hostile.port)
            #expect(waitUntil(timeout: .seconds(60)) { Self.accepted(gateway) == sent }, "\(sent) were accepted")
            #expect(redis.command("PING") == "PONG")
            let isBack = waitUntil(timeout: .seconds(30)) {
                guard let use = try? ProcessUse(gateway) else { return false }
                return use.threads <= before.threads + 1 && use.descriptors <= before.descriptors + 4
            }
            #expect(isBack, "\(String(describing: try? ProcessUse(gateway))), and before \(before)")
        }

        @Test(arguments: ["nothing", "a black hole", "stalled", "5 s late"])
        func `R-30: a Redis that does not answer in time delays no event`(kind: String) throws {
            let server = try NATSServer()
            let redis = try RedisServer()
            let proxy = TCPProxy(target: redis.port)
            let hole = try #require(TestSocket.listen(port: 0))
            var port = proxy.port
            switch kind {
            case "nothing": port = try freePort()
            // The system takes connections for it; nobody ever reads or answers.
            case "a black hole": port = hole.localPort
            case "stalled": proxy.set { $0.stalls = true }
            default: proxy.set { $0.latency = .seconds(5) }
            }
            let settings = ["REDIS_URL": "redis://127.0.0.1:\(port)"]
            let gateway = try GatewayProcess(natsURL: server.url, settings: settings)
            #expect(try Self.publish(200, gateway) == 200)
            // Each of these answers came although nothing had come from Redis.
            #expect(Self.accepted(gateway) == nil)
            #expect(gateway.status(of: "/health/ready") == 200)
            #expect(try gateway.get("/health").json["details"]["redis_connected"].bool == false)
            #expect(waitUntil { (try? gateway.get("/health").json["status"].string) == "degraded" })
            guard port == proxy.port else { return }
            proxy.set { ($0.stalls, $0.latency) = (false, .zero) }
            #expect(waitUntil(timeout: .seconds(60)) { Self.accepted(gateway) == 200 })
        }
    }
}
