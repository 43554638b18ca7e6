import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// The files in `deploy` for containers, as far as they can be checked without an engine that runs some.
    @Suite(.serialized) struct DeployFilesTests {
        private static let checker = "\(Corpus.folder)/check_deploy_files.py"

        private func check(_ arguments: String...) throws -> [String] {
            try PythonProgram.run(
                Self.checker,
                arguments: [DeployedCluster.folder, GatewayProcess.binary()] + arguments
            )
        }

        @Test func `S-33: manifests, compose file and image follow their schemas and our rules`() throws {
            #expect(try check() == [])
        }

        @Test func `each of these mistakes in the files would be noticed`() throws {
            #expect(try check("--mutations") == [])
        }

        @Test func `the image's health check tells a live gateway from a dead one`() throws {
            let words = try check("--healthcheck")
            try #require(words.count == 3 && words[0] == "/bin/bash")
            let nats = try NATSServer()
            let gateway = try GatewayProcess(natsURL: nats.url)
            #expect(try healthCheck(words, gateway) == 0)
            nats.kill()
            #expect(waitUntil(timeout: .seconds(30)) { gateway.status(of: "/health/ready") == 503 })
            #expect(try healthCheck(words, gateway) == 0, "live does not depend on NATS")
            gateway.kill()
            #expect(try healthCheck(words, gateway) != 0)
        }

        private func healthCheck(_ words: [String], _ gateway: GatewayProcess) throws -> Int32 {
            let folder = TemporaryDirectory()
            let environment = ["API_PORT": String(gateway.port), "PATH": "/usr/bin:/bin"]
            let child = try #require(
                ChildProcess(
                    words[0],
                    Array(words.dropFirst()),
                    environment: environment,
                    logPath: "\(folder.path)/log"
                )
            )
            try #require(waitUntil(timeout: .seconds(20)) { !child.isRunning })
            return try #require(child.exitStatus)
        }

        @Test func `S-36: the gateway counts with the rights that its user has in the compose file's Redis`() throws {
            let folder = TemporaryDirectory()
            let port = try freePort()
            let script = try check("--redis").joined(separator: "\n")
                .replacing("/tmp/users.acl", with: "\(folder.path)/users.acl")
                .replacing("--dir /data", with: "--dir \(folder.path) --bind 127.0.0.1 --port \(port)")
            let environment = [
                "REDIS_PASSWORD": "s3cret", "PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin",
            ]
            let redis = try #require(
                ChildProcess("/bin/sh", ["-c", script], environment: environment, logPath: "\(folder.path)/log")
            )
            #expect(waitUntil(timeout: .seconds(20)) { RedisProbe(port: port) != nil }, "\(redis.log)")
            let probe = try #require(RedisProbe(port: port))
            #expect(probe.command(["PING"])?.contains("NOAUTH") == true)
            #expect(probe.command(["AUTH", "sluice", "s3cret"]) == "OK")
            for command in [
                ["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"], ["GET", "another"], ["DEL", "sluice:x"],
            ] {
                #expect(probe.command(command)?.hasPrefix("-NOPERM") == true, "\(command)")
            }

            let nats = try NATSServer()
            let url = "redis://sluice:s3cret@127.0.0.1:\(port)"
            let gateway = try GatewayProcess(natsURL: nats.url, settings: ["REDIS_URL": url])
            #expect(try gateway.exchange(EventOracle.event(client: 1, count: 1).structured()).status == 202)
            let isCounted = try waitUntil(timeout: .seconds(20)) {
                try gateway.get("/v1/tenants/default/metrics").json["accepted"].int == 1
            }
            #expect(isCounted, "\(gateway.log.suffix(5))")
            #expect(try gateway.get("/v1/stats").json["items"].items.count == 1)
            #expect(gateway.log.filter { $0.contains("NOPERM") } == [])
        }
    }
}
