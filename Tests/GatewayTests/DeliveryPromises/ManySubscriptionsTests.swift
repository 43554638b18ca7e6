import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// One thousand subscriptions on one gateway, and the bound on how many a tenant may have.
    @Suite(.serialized) struct ManySubscriptionsTests {
        private static let count = 1000

        /// Half are pushed to, half are pulled from.
        private static func definition(_ number: Int, _ port: UInt16) -> String {
            number.isMultiple(of: 2)
                ? DeliveryClient.hook("http://127.0.0.1:\(port)/\(number)", [#""types":["com.example.many.*"]"#])
                : #"{"protocol":"PULL","types":["com.example.many.*"]}"#
        }

        /// Makes all of them, over a few connections at a time as a deployment would.
        private static func subscribeAll(_ client: DeliveryClient, port: UInt16) async throws {
            let (gatewayPort, tenant) = (client.stack.gateway.port, client.tenant)
            let failures = await withTaskGroup(of: [String].self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        await onThread {
                            subscribe(stride(from: worker, to: count, by: 4), gatewayPort, tenant: tenant, sink: port)
                        }
                    }
                }
                return await group.reduce(into: []) { $0 += $1 }
            }
            try #require(failures.isEmpty, "\(failures.prefix(3))")
        }

        /// - Returns: What went wrong.
        private static func subscribe(
            _ numbers: StrideTo<Int>,
            _ gateway: UInt16,
            tenant: String,
            sink: UInt16
        ) -> [String] {
            var failures: [String] = []
            do {
                let connection = try HTTPConnection(port: gateway, timeout: .seconds(60))
                let fields = [("X-Tenant-ID", tenant), ("Content-Type", "application/json")]
                for number in numbers {
                    let body = Array(definition(number, sink).utf8)
                    let target = "/v1/subscriptions/s\(number)"
                    let answer = try connection.exchange(HTTPRequest("PUT", target, headers: fields, body: body))
                    if answer.status != 201 { failures.append("\(number): \(answer.status) \(answer.text)") }
                }
            } catch {
                failures.append("\(error)")
            }
            return failures
        }

        /// Pulls from every other subscription until each has handed out these events.
        private static func pullAll(_ client: DeliveryClient, ids: Set<String>) throws {
            let connection = try client.stack.gateway.connect(timeout: .seconds(60))
            func post(_ target: String, _ body: String = "") throws -> WireJSON {
                let fields = [("X-Tenant-ID", client.tenant), ("Content-Type", "application/json")]
                let answer = try connection.exchange(
                    HTTPRequest("POST", "/v1/subscriptions/\(target)", headers: fields, body: Array(body.utf8))
                )
                try #require(answer.status == 200, "\(target): \(answer.text)")
                return answer.json
            }
            for number in stride(from: 1, to: count, by: 2) {
                var found: Set<String> = []
                while !found.isSuperset(of: ids) {
                    let items = try post("s\(number):receive?maxEvents=10&maxWaitTime=30")["value"].items
                    try #require(!items.isEmpty, "s\(number) hands out nothing more: \(found)")
                    let tokens = items.map { quoted($0["brokerProperties"]["lockToken"].string ?? "") }
                    let body = "{\"lockTokens\":[\(tokens.joined(separator: ","))]}"
                    let settled = try post("s\(number):acknowledge", body)
                    #expect(settled["succeededLockTokens"].items.count == items.count)
                    found.formUnion(items.compactMap { $0["event"]["id"].string })
                }
                #expect(found == ids, "s\(number)")
            }
        }

        /// Publishes an event that everybody wants and checks that all pushed subscriptions got it once.
        private static func publishToAll(_ client: DeliveryClient, _ receiver: WebhookReceiver) throws -> String {
            let event = TestEvent(type: "com.example.many.a")
            let before = receiver.posts.count
            try client.publish(event)
            #expect(receiver.hasGot(before + count / 2, timeout: .seconds(120)), "\(receiver.posts.count - before)")
            let targets = receiver.posts.filter { $0["ce-id"] == event.id }.map(\.target)
            #expect(targets.count == count / 2 && Set(targets).count == count / 2)
            return event.id
        }

        @Test func `one thousand subscriptions get their events, cost little at rest, and come back after a crash`()
            async throws
        {
            let client = try DeliveryClient.make()
            let gateway = client.stack.gateway
            let receiver = try WebhookReceiver()
            let empty = gateway.residentBytes
            try await Self.subscribeAll(client, port: receiver.port)
            // The default limit is exactly so many; who asks for one more is told so.
            let more = try client.call("PUT", "/v1/subscriptions/more", #"{"protocol":"PULL"}"#)
            #expect(more.status == 429, "\(more.text)")
            #expect(more.json["limit"].int == Self.count)
            #expect(more.json["detail"].string?.contains("MAX_SUBSCRIPTIONS") == true, "\(more.text)")

            var ids: Set<String> = [try Self.publishToAll(client, receiver)]
            try client.publish(TestEvent(type: "com.example.other"))
            ids.insert(try Self.publishToAll(client, receiver))
            try Self.pullAll(client, ids: ids)
            let grown = gateway.residentBytes - empty
            #expect(grown < 200 << 20, "\(grown >> 20) MiB for \(Self.count) subscriptions")
            // At rest: processor time of the process, which others on the machine do not change.
            let (used, start) = (gateway.cpuSeconds, ContinuousClock.now)
            await letPass(.seconds(5))
            let share = (gateway.cpuSeconds - used) / ((ContinuousClock.now - start) / .seconds(1))
            #expect(share < 0.5, "\(share) of a processor without an event")

            gateway.kill()
            try gateway.start()
            let last = try Self.publishToAll(client, receiver)
            try Self.pullAll(client, ids: [last])
            let answer = try client.call("GET", "/v1/subscriptions?limit=1000")
            #expect(answer.json["items"].items.count == Self.count)
            #expect(answer.json["items"].items.allSatisfy { $0["state"].string == "active" })
        }

        @Test func `S-28: who asks for many subscriptions at once gets no more than the limit`() async throws {
            let client = try DeliveryClient.make(
                settings: DeliveryPool.settings.merging(["MAX_SUBSCRIPTIONS": "5"]) { $1 }
            )
            let (port, tenant) = (client.stack.gateway.port, client.tenant)
            let statuses = await withTaskGroup(of: Int.self) { group in
                for _ in 0..<30 {
                    group.addTask {
                        await onThread {
                            let fields = [("X-Tenant-ID", tenant), ("Content-Type", "application/json")]
                            let body = Array(#"{"protocol":"PULL"}"#.utf8)
                            let request = HTTPRequest("POST", "/v1/subscriptions", headers: fields, body: body)
                            return (try? HTTPConnection(port: port).exchange(request).status) ?? 0
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(statuses).isSubset(of: [201, 429]), "\(statuses)")
            let made = try client.call("GET", "/v1/subscriptions").json["items"].items.count
            #expect(made == statuses.count { $0 == 201 })
            #expect(made == 5, "\(made) subscriptions, and the limit is 5")
        }
    }
}
