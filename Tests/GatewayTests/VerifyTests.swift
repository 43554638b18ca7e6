import Foundation
import Glibc
import ServerFixtures
import Testing

extension EndToEnd {
    /// what was acknowledged and is lost afterwards is found by `sluice verify`, exactly, and nothing else is.
    @Suite(.serialized) struct VerifyTests {
        @Test(arguments: NATSServer.available)
        func `R-40: nothing lost is no alarm, repeated events and clean ends included`(binary: NATSServer.Binary) throws
        {
            let stack = try AuditedStack(binary)
            let fresh = try stack.verify()
            #expect(fresh.code == 0, "nothing has been acknowledged yet: \(fresh.text)")
            #expect(fresh["audited"] == 0)
            let events = try stack.publish(300)
            let again = batch(events[..<100].map(\.json))
            #expect(try stack.gateway.exchange(again).json["duplicates"].int == 100)
            let single = try stack.gateway.exchange(TestEvent().structured())
            #expect(single.json["sequence"].int == 301)
            stack.gateway.terminate()
            #expect(stack.gateway.waitForExit())
            let check = try stack.verify()
            #expect(check.code == 0, "\(check.text)")
            #expect(check["audited"] == 301, "a stopping gateway records everything: \(check.text)")
            #expect(check["present"] == 301)
            #expect(check["unaudited"] == 0)
            #expect(check.audit("replicas") == 1)
            #expect(check.audit("replicas_without_end") == 0)
            let table = try Verification(stack.server.url, words: [])
            #expect(table.code == 0)
            #expect(table.text.contains("OK: nothing that was acknowledged is missing or changed"), "\(table.text)")
            #expect(table.text.contains("events/s"))
        }

        @Test(arguments: NATSServer.available)
        func `R-40: messages deleted or purged past the gateway are named one by one`(binary: NATSServer.Binary) throws
        {
            let stack = try AuditedStack(binary)
            try stack.publishAudited(100)
            for sequence in [7, 20, 21] {
                try stack.api("STREAM.MSG.DELETE.\(GatewayStack.stream)", "{\"seq\":\(sequence)}")
            }
            let deleted = try stack.verify()
            #expect(deleted.code == 2, "\(deleted.text)")
            #expect(deleted.missing == [7, 20, 21])
            #expect(deleted["changed"] == 0)
            #expect(deleted["present"] == 97)
            try stack.api("STREAM.PURGE.\(GatewayStack.stream)", "{\"seq\":11}")
            let head = try stack.verify()
            #expect(head.missing == Array(1...10) + [20, 21], "\(head.text)")
            try stack.api("STREAM.PURGE.\(GatewayStack.stream)")
            let all = try stack.verify()
            #expect(all.code == 2)
            #expect(all.missing == Array(1...100), "\(all.text)")
            let table = try Verification(stack.server.url, words: [])
            #expect(table.text.contains("LOSS"), "\(table.text)")
            #expect(table.text.contains("1-100"))
        }

        @Test(arguments: NATSServer.available, [3, 8])
        func `R-40: a flipped bit in a block file is found`(binary: NATSServer.Binary, tenth: Int) throws {
            let stack = try AuditedStack(binary)
            try stack.publishAudited(200)
            try stack.expectDamageFound { file in
                let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
                let place = try handle.seekToEnd() * UInt64(tenth) / 10
                try handle.seek(toOffset: place)
                let byte = try #require(try handle.read(upToCount: 1)?.first)
                try handle.seek(toOffset: place)
                try handle.write(contentsOf: [byte ^ 0x10])
                try handle.close()
            }
        }

        @Test(arguments: NATSServer.available)
        func `R-40: a truncated block file is found, also when its sequences are given out again`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try AuditedStack(binary)
            try stack.publishAudited(200)
            let lost = try stack.expectDamageFound(killing: true) { try Self.truncate($0) }
            try stack.gateway.start()
            try stack.publish(100)
            let check = try stack.verify { $0["audited"] == 300 }
            #expect(check.code == 2)
            #expect(check.missing == lost, "\(check.text)")
            #expect(check["changed"] == 0, "a sequence that another event got was lost, not changed: \(check.text)")
            #expect(check["present"] == 300 - lost.count)
        }

        private static func truncate(_ file: String) throws {
            let handle = try FileHandle(forUpdating: URL(fileURLWithPath: file))
            try handle.truncate(atOffset: try handle.seekToEnd() * 2 / 3)
            try handle.close()
        }

        @Test(arguments: NATSServer.available)
        func `R-40: other bytes under an acknowledged sequence are a change`(binary: NATSServer.Binary) throws {
            let stack = try AuditedStack(binary)
            try stack.publishAudited(90)
            stack.gateway.kill()
            try stack.damage(GatewayStack.stream, killing: true) { try Self.truncate($0) }
            let kept = try stack.reader().lastSequence()
            try #require((1..<90).contains(kept))
            let probe = try NATSProbe(url: stack.server.url)
            for _ in kept..<90 { _ = probe.request("ce.default.normal.any", payload: Array("another".utf8)) }
            let check = try stack.verify()
            #expect(check.code == 2, "\(check.text)")
            #expect(check.changed == Array((kept + 1)...90), "\(check.text)")
            #expect(check["missing"] == 0)
            #expect(check["present"] == kept)
        }

        @Test(arguments: NATSServer.available)
        func `R-40: a stream that was deleted and made anew under the gateway`(binary: NATSServer.Binary) throws {
            let stack = try AuditedStack(binary)
            try stack.publishAudited(50)
            try stack.api("STREAM.DELETE.\(GatewayStack.stream)")
            let gone = try stack.verify()
            #expect(gone.code == 2, "\(gone.text)")
            #expect(waitUntil(timeout: .seconds(30)) { (try? stack.reader().lastSequence()) ?? -1 >= 0 })
            #expect(waitUntil(timeout: .seconds(30)) { stack.gateway.status(of: "/health/ready") == 200 })
            try stack.publish(80)
            let check = try stack.verify { $0["audited"] == 130 }
            #expect(check.code == 2)
            #expect(check.missing == Array(1...50), "\(check.text)")
            #expect(check["before_creation"] == 50)
            #expect(check["present"] == 80)
            #expect(check["unaudited"] == 0)
        }

        @Test(arguments: NATSServer.available)
        func `R-40: a killed gateway leaves at most its last moments unaudited, and no alarm`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try AuditedStack(binary)
            try stack.publishAudited(100)
            var run = PublishRun(connections: 32, perConnection: 25)
            try run.send(to: stack.gateway, faultAfter: 200) { stack.gateway.kill() }
            let check = try stack.verify()
            #expect(check.code == 0, "\(check.text)")
            #expect(check["audited"].map { $0 >= 100 } == true)
            #expect(check["present"] == check["audited"])
            let stored = try stack.reader().messageCount()
            #expect(check["unaudited"] == stored - (check["audited"] ?? 0))
            #expect(check.audit("replicas_without_end") == 1)
            try stack.gateway.start()
            try stack.publish(10)
            let later = try stack.verify { $0.audit("replicas") == 2 }
            #expect(later.code == 0, "\(later.text)")
            #expect(later["unaudited"] == check["unaudited"])
        }

        @Test func `R-40: lost PubAcks and repeated records are no alarm`() throws {
            try AcknowledgementTests.withMiddleman { gateway, middleman, server in
                let events = (0..<40).map { _ in TestEvent() }
                middleman.setRule(.init { _ in [] })
                let connections = try events.map { _ in try gateway.connect() }
                for (connection, event) in zip(connections, events) { try connection.send(event.structured()) }
                for connection in connections { #expect(try connection.receive().status == 504) }
                middleman.setRule(.pass)
                for event in events { #expect(try gateway.exchange(event.structured()).json["duplicate"].bool == true) }
                let more = (0..<40).map { _ in TestEvent() }
                for event in more { #expect(try gateway.exchange(event.structured()).status == 202) }
                middleman.setRule(.init { _ in [] })
                let audited = waitUntil(timeout: .seconds(30)) {
                    (try? Verification(server.url))?["audited"] == 40
                }
                #expect(audited, "the record is stored although nobody was told")
                middleman.setRule(.pass)
                #expect(waitUntil(timeout: .seconds(30)) { gateway.status(of: "/health/ready") == 200 })
                #expect(try gateway.exchange(TestEvent().structured()).status == 202)
                let done = waitUntil(timeout: .seconds(60)) { (try? Verification(server.url))?["audited"] == 41 }
                #expect(done)
                let check = try Verification(server.url)
                #expect(check.code == 0, "\(check.text)")
                #expect(check["unaudited"] == 40, "a duplicate is not audited: its first copy was never acknowledged")
                #expect(check.audit("records_missing") == 0)
                #expect(check.audit("sequences_missing") == 0)
            }
        }
    }
}
