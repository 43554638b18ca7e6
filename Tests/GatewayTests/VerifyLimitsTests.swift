import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// R-40, the other side: what may be gone, what cannot be known, and what says so.
    @Suite(.serialized) struct VerifyLimitsTests {
        @Test(arguments: NATSServer.available)
        func `a stream that lets the oldest go has lost nothing, until more is gone than it lets go`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try AuditedStack(binary, settings: ["STREAM_DISCARD": "old", "MAX_MSGS": "50"])
            try stack.publishAudited(200)
            let check = try stack.verify()
            #expect(check.code == 0, "\(check.text)")
            #expect(check["discarded"] == 150)
            #expect(check["present"] == 50)
            try stack.api("STREAM.MSG.DELETE.\(GatewayStack.stream)", "{\"seq\":180}")
            let one = try stack.verify()
            #expect(one.missing == [180], "\(one.text)")
            #expect(one["discarded"] == 150)
            try stack.api("STREAM.PURGE.\(GatewayStack.stream)", "{\"seq\":191}")
            let purged = try stack.verify()
            #expect(purged.code == 2)
            #expect(purged.missing.suffix(10) == Array(181...190), "\(purged.text)")
        }

        @Test(arguments: NATSServer.available)
        func `what was kept as long as promised is no loss`(binary: NATSServer.Binary) throws {
            let stack = try AuditedStack(binary, settings: ["MAX_AGE": "2", "DUPLICATE_WINDOW": "1"])
            try stack.publish(50)
            let isEmpty = try waitUntil(timeout: .seconds(30)) { try stack.reader().messageCount() == 0 }
            #expect(isEmpty)
            let check = try stack.verify()
            #expect(check.code == 0, "\(check.text)")
            #expect(check["missing"] == 0)
            try stack.publish(10)
            #expect(try stack.verify().code == 0)
        }

        @Test(arguments: NATSServer.available)
        func `an audit with a record missing says so, and calls nothing lost`(binary: NATSServer.Binary) throws {
            let stack = try AuditedStack(binary)
            for count in [30, 60, 90] {
                try stack.publish(30)
                _ = try stack.verify { $0["audited"] == count }
            }
            let records = try stack.api("STREAM.INFO.SLUICE_AUDIT")["state"]["last_seq"].int ?? 0
            try #require(records >= 3)
            try stack.api("STREAM.MSG.DELETE.SLUICE_AUDIT", "{\"seq\":2}")
            let check = try stack.verify()
            #expect(check.code == 3, "\(check.text)")
            #expect(check.audit("records_missing") == 1)
            #expect(check.audit("sequences_missing") == 1)
            #expect(check["missing"] == 0)
            #expect(check["present"] == check["audited"])
            try NATSProbe(url: stack.server.url).publish("audit.acks.stranger", payload: Array("hello".utf8))
            let odd = try stack.verify { $0.report["audit"]["unreadable"].items.count == 1 }
            #expect(odd.code == 3)
            #expect(odd.report["audit"]["unreadable"].items.first?.int == records + 1, "\(odd.text)")
            try stack.api("STREAM.MSG.DELETE.\(GatewayStack.stream)", "{\"seq\":1}")
            #expect(try stack.verify().code == 2, "a loss weighs more than a damaged audit")
        }

        @Test(arguments: NATSServer.available)
        func `a purged or damaged audit says so`(binary: NATSServer.Binary) throws {
            let stack = try AuditedStack(binary)
            for count in [40, 80, 120] {
                try stack.publish(40)
                _ = try stack.verify { $0["audited"] == count }
            }
            stack.gateway.kill()
            try stack.damage("SLUICE_AUDIT") { file in
                let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
                let middle = try handle.seekToEnd() / 2
                try handle.seek(toOffset: middle)
                let byte = try #require(try handle.read(upToCount: 1)?.first)
                try handle.seek(toOffset: middle)
                try handle.write(contentsOf: [byte ^ 4])
                try handle.close()
            }
            let flipped = try stack.verify()
            #expect(flipped["missing"] == 0 && flipped["changed"] == 0, "\(flipped.text)")
            #expect(flipped.code == 3 || (flipped["audited"] ?? 0) < 120, "\(flipped.text)")
            #expect((flipped["unaudited"] ?? 0) + (flipped["present"] ?? 0) == 120)
            try stack.api("STREAM.PURGE.SLUICE_AUDIT")
            let purged = try stack.verify()
            #expect(purged.code == 3, "\(purged.text)")
            #expect(purged["unaudited"] == 120)
        }

        @Test(arguments: NATSServer.available)
        func `what cannot be checked is neither good nor lost`(binary: NATSServer.Binary) throws {
            let server = try NATSServer(binary)
            let without = try Verification(server.url)
            #expect(without.code == 69)
            #expect(without.text.contains("SLUICE_AUDIT"), "\(without.text)")
            server.kill()
            let away = try Verification(server.url, words: ["--json", "--patience", "1"])
            #expect(away.code == 69)
            #expect(away.text.contains("could not be made"), "\(away.text)")
            #expect(try Verification(server.url, words: ["--since", "yesterday"]).code == 64)
            #expect(try Verification("nats://", words: []).code == 78)
        }

        @Test func `only what was acknowledged since a time is looked for, when one is given`() throws {
            let stack = try AuditedStack(NATSServer.standard)
            try stack.publishAudited(20)
            try stack.api("STREAM.MSG.DELETE.\(GatewayStack.stream)", "{\"seq\":3}")
            let all = try Verification(stack.server.url, words: ["--json", "--since", "1h"])
            #expect(all.code == 2, "\(all.text)")
            #expect(all.missing == [3])
            let none = try Verification(stack.server.url, words: ["--json", "--since", "2999-01-01T00:00:00Z"])
            #expect(none.code == 0, "\(none.text)")
            #expect(none["audited"] == 0)
            #expect(none.report["unaudited"].isNull)
        }
    }
}
