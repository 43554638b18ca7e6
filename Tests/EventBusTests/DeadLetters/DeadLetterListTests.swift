import DeliveryRules
import EventBus
import JetStream
import ServerFixtures
import Testing

/// Lists, single letters and deletion, by tenant.
struct DeadLetterListTests {
    private static let tenants = ["acme", "globex", "acme-2"]

    private static func describe(_ number: UInt64) throws -> (SubscriptionKey, DeadLetterReason) {
        let key = try DeadLetterSetup.key(tenants[Int(number % 3)], "s\(number % 5)")
        let reason: DeadLetterReason = number % 1000 == 0 ? .gone : number % 2 == 0 ? .rejected : .retriesExhausted
        return (key, reason)
    }

    /// 5,000 dead letters of 15 subscriptions.
    private static func filled(_ binary: NATSServer.Binary) async throws -> DeadLetterSetup {
        let setup = try await DeadLetterSetup(binary)
        let described = try (1...5000 as ClosedRange<UInt64>).map { try describe($0) }
        try await setup.store(1...5000) { described[Int($0) - 1] }
        return setup
    }

    /// Follows the cursors to the end.
    private func all(
        _ setup: DeadLetterSetup,
        _ tenant: TenantName,
        _ filter: DeadLetterBox.Filter = .init(),
        limit: Int
    ) async throws -> (items: [DeadLetter], pages: Int) {
        var items: [DeadLetter] = []
        var pages = 0
        var after: UInt64? = 0
        while let start = after {
            let page = try await setup.box.list(tenant, filter, limit: limit, after: start)
            #expect(page.items.count <= limit)
            items += page.items
            pages += 1
            if let next = page.next { #expect(next > start) }
            after = page.next
        }
        return (items, pages)
    }

    @Test(arguments: NATSServer.available)
    func `pages and cursors give everything of one tenant once and in order`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await Self.filled(binary)
        for (index, name) in Self.tenants.enumerated() {
            let tenant = try #require(TenantName(name))
            let numbers = Set((1...5000 as ClosedRange<UInt64>).filter { Int($0 % 3) == index })
            for limit in [1000, 100, 833] {
                let (items, pages) = try await all(setup, tenant, limit: limit)
                #expect(items.count == numbers.count)
                #expect(Set(items.compactMap(\.originalSequence)) == numbers)
                #expect(zip(items, items.dropFirst()).allSatisfy { $0.sequence < $1.sequence })
                #expect(items.allSatisfy { $0.subscription.tenant == tenant })
                #expect(pages == (numbers.count + limit - 1) / limit, "no page is asked for in vain")
            }
            let counts = try await setup.box.counts(tenant)
            #expect(counts.count == 5)
            #expect(counts.values.reduce(0, +) == UInt64(numbers.count))
        }
        let nobody = try #require(TenantName("nobody"))
        #expect(try await all(setup, nobody, limit: 10).items.isEmpty)
        #expect(try await setup.box.counts(nobody).isEmpty)
        await setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `filters by subscription and reason, and leaves no consumer behind`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await Self.filled(binary)
        let key = try DeadLetterSetup.key("acme", "s3")
        let mine = try (1...5000 as ClosedRange<UInt64>).filter { try Self.describe($0).0 == key }
        let filter = DeadLetterBox.Filter(subscription: key.id)
        #expect(try await all(setup, key.tenant, filter, limit: 1000).items.count == mine.count)
        #expect(try await setup.box.counts(key.tenant)[key.id] == UInt64(mine.count))
        let rejected = DeadLetterBox.Filter(subscription: key.id, reason: .rejected)
        let items = try await all(setup, key.tenant, rejected, limit: 7).items
        #expect(Set(items.compactMap(\.originalSequence)) == Set(mine.filter { $0 % 2 == 0 && $0 % 1000 != 0 }))
        let gone = try await all(setup, key.tenant, .init(reason: .gone), limit: 1000).items
        #expect(gone.compactMap(\.originalSequence) == [3000])
        #expect(try await all(setup, key.tenant, .init(reason: .schema), limit: 1).items.isEmpty)
        #expect(try await setup.client.consumerNames(in: setup.plan.deadLetters.name).isEmpty)
        let page = try await setup.box.list(key.tenant, limit: 0)
        #expect(page.items.count == 1, "a limit out of range is brought into it")
        #expect(try await setup.box.list(key.tenant, after: .max).items.isEmpty)
        await setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `a filter that nothing passes ends a page after so much work, with a cursor`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await DeadLetterSetup(binary)
        let key = try DeadLetterSetup.key("acme", "s")
        try await setup.store(1...6000) { _ in (key, .rejected) }
        let first = try await setup.box.list(key.tenant, .init(reason: .gone))
        #expect(first.items.isEmpty)
        #expect(first.next == 5000)
        let second = try await setup.box.list(key.tenant, .init(reason: .gone), after: 5000)
        #expect(second.items.isEmpty && second.next == nil)
        await setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `lists read while letters are deleted are in order and end`(binary: NATSServer.Binary) async throws {
        let setup = try await DeadLetterSetup(binary)
        let key = try DeadLetterSetup.key("acme", "s")
        try await setup.store(1...1500) { _ in (key, .rejected) }
        async let deletion: Void = {
            for sequence in stride(from: 1500, to: 0, by: -2) as StrideTo<Int> {
                try await setup.box.delete(key.tenant, UInt64(sequence))
            }
        }()
        for _ in 1...5 {
            let (items, _) = try await all(setup, key.tenant, limit: 200)
            #expect(items.count >= 750)
            #expect(items.count { $0.sequence % 2 == 1 } == 750)
        }
        try await deletion
        #expect(try await all(setup, key.tenant, limit: 1000).items.count == 750)
        await setup.close()
    }

    @Test func `a tenant that reads too many lists at once is told so, and no other tenant`() async throws {
        let setup = try await Self.filled(NATSServer.standard)
        let (flooder, other) = (try #require(TenantName("acme")), try #require(TenantName("globex")))
        let refused = await withTaskGroup(of: Bool.self) { group in
            for _ in 1...40 {
                group.addTask {
                    do throws(DeadLetterError) {
                        return try await setup.box.list(flooder, limit: 1000).items.isEmpty
                    } catch {
                        return error == .busy
                    }
                }
            }
            let page = try? await setup.box.list(other)
            #expect(page?.items.count == 100)
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect((1...36).contains(refused))
        #expect(try await setup.box.list(flooder).items.count == 100, "afterwards it may again")
        #expect(try await setup.client.consumerNames(in: setup.plan.deadLetters.name).isEmpty)
        await setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `a page is bounded by bytes, and goes on where it ended`(binary: NATSServer.Binary) async throws {
        let setup = try await DeadLetterSetup(binary)
        let key = try DeadLetterSetup.key("acme", "s")
        let payload = [UInt8](repeating: 0x61, count: 700_000)
        for number in 1...60 as ClosedRange<UInt64> {
            try await setup.store(setup.origin(number, tenant: "acme", payload: payload), key)
        }
        let first = try await setup.box.list(key.tenant, limit: 1000)
        #expect(first.items.count < 60 && !first.items.isEmpty)
        let (items, pages) = try await all(setup, key.tenant, limit: 1000)
        #expect(items.map(\.originalSequence) == (1...60).map { $0 })
        #expect(pages > 1)
        #expect(items.allSatisfy { $0.payload == payload })
        await setup.close()
    }

    @Test(arguments: NATSServer.available)
    func `another tenant's dead letter is not found, not deleted, not put back (S-04)`(
        binary: NATSServer.Binary
    ) async throws {
        let setup = try await DeadLetterSetup(binary)
        let mine = try DeadLetterSetup.key("acme", "s")
        let other = try DeadLetterSetup.key("globex", "s")
        let sequence = try await setup.store(setup.origin(1, tenant: "globex", payload: [1]), other)
        #expect(try await setup.box.get(mine.tenant, sequence) == nil)
        #expect(try await setup.box.delete(mine.tenant, sequence) == false)
        for selection in [RedriveRequest.Selection.sequences([sequence]), .filter(.init(subscription: other.id))] {
            let request = RedriveRequest(tenant: mine.tenant, selection: selection)
            let report = await setup.box.redrive(request, into: setup.plan.events.name, prefix: setup.prefix) { _ in nil
            }
            #expect(report.redriven == 0)
        }
        #expect(try await setup.box.list(mine.tenant).items.isEmpty)
        #expect(try await setup.box.get(other.tenant, sequence)?.payload == [1])
        #expect(try await setup.box.get(other.tenant, 0) == nil)
        #expect(try await setup.box.get(other.tenant, 99) == nil)
        #expect(try await setup.box.delete(other.tenant, sequence))
        #expect(try await setup.box.delete(other.tenant, sequence) == false)
        #expect(try await setup.box.get(other.tenant, sequence) == nil)
        await setup.close()
    }

    @Test func `a dead letter that names another tenant's subject is never put back`() async throws {
        let setup = try await DeadLetterSetup(NATSServer.standard)
        let key = try DeadLetterSetup.key("acme", "s")
        var sequences: [UInt64] = []
        let subjects = [
            "ce.globex.normal.a", "ce.acme", "cf.acme.normal.a", "ce.acmee.normal.a", "ce.acme..a", "dl.acme.s",
            "ce.acme.normal." + String(repeating: "é", count: 2000),
        ]
        for (index, subject) in subjects.enumerated() {
            let origin = DeadLetterOrigin(
                stream: setup.plan.events.name,
                sequence: UInt64(index + 1),
                subject: subject,
                headers: [],
                payload: [1]
            )
            sequences.append(try await setup.store(origin, key))
        }
        let request = RedriveRequest(tenant: key.tenant, selection: .sequences(sequences))
        let report = await setup.box.redrive(request, into: setup.plan.events.name, prefix: setup.prefix) { _ in nil }
        #expect(report.failed == subjects.count)
        #expect(report.failures.allSatisfy { $0.failure == .subject })
        #expect(try await setup.messages(setup.plan.events.name).isEmpty)
        await setup.close()
    }

    @Test func `says that NATS is away`() async throws {
        let setup = try await DeadLetterSetup(NATSServer.standard)
        let tenant = try #require(TenantName("acme"))
        let (server, client) = (setup.server, setup.client)
        await onThread { server.kill() }
        #expect(await eventually { !client.state.isConnected })
        await #expect(throws: DeadLetterError.self) { _ = try await setup.box.list(tenant) }
        await #expect(throws: DeadLetterError.self) { _ = try await setup.box.get(tenant, 1) }
        await #expect(throws: DeadLetterError.self) { _ = try await setup.box.counts(tenant) }
        await setup.close()
    }
}
