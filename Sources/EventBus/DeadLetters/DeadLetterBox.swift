package import DeliveryRules
package import JetStream

/// The dead letters of all tenants: reads, deletes and puts back; every call names the tenant and reaches no other (S-04).
///
/// Safe to use from any task.
package struct DeadLetterBox: Sendable {
    /// What a list is narrowed to.
    package struct Filter: Sendable, Equatable {
        package var subscription: SubscriptionName?
        package var reason: DeadLetterReason?

        /// Without arguments everything of the tenant.
        package init(subscription: SubscriptionName? = nil, reason: DeadLetterReason? = nil) {
            self.subscription = subscription
            self.reason = reason
        }

        func accepts(_ letter: DeadLetter) -> Bool {
            reason == nil || letter.reason.utf8.elementsEqual(reason?.rawValue.utf8 ?? "".utf8)
        }
    }

    /// Part of a list.
    package struct Page: Sendable {
        /// In stream order, the oldest first; may be empty although there is more.
        package let items: [DeadLetter]
        /// What to pass as `after` for the next page; nil at the end.
        package let next: UInt64?
    }

    /// Most items of a page.
    package static let limitMax = 1000
    /// Most pages read at a time for one tenant, and by one process: each takes a consumer at the server (S-28).
    package static let scansOfTenantMax = 4
    package static let scansMax = 32

    let client: JetStreamClient
    /// The stream of the dead letters.
    package let stream: StreamName
    /// Pages being read now.
    private let scans = Locked<[TenantName: Int]>([:])

    /// - Parameters:
    ///   - client: a started client.
    ///   - stream: the stream of the dead letters.
    package init(client: JetStreamClient, stream: StreamName) {
        self.client = client
        self.stream = stream
    }

    /// A page of a tenant's dead letters.
    ///
    /// The work for a page is bounded: with a filter by reason a page may hold few items or none and still have a `next`.
    ///
    /// - Parameters:
    ///   - limit: most items, 1 to ``limitMax``; other values are brought into that range.
    ///   - after: the sequence after which to begin.
    package func list(
        _ tenant: TenantName,
        _ filter: Filter = Filter(),
        limit: Int = 100,
        after: UInt64 = 0
    ) async throws(DeadLetterError) -> Page {
        var request = DeadLetterScan.Request(
            filter: DeadLetterMessage.filter(tenant: tenant, subscription: filter.subscription),
            after: after,
            limit: min(max(limit, 1), Self.limitMax)
        )
        if filter.reason == nil { request.messagesMax = request.limit }
        let page = try await scan(tenant, request) { filter.accepts($0) ? $0 : nil }
        return Page(items: page.items, next: page.next)
    }

    /// One dead letter; nil if there is none of this tenant with that sequence.
    package func get(_ tenant: TenantName, _ sequence: UInt64) async throws(DeadLetterError) -> DeadLetter? {
        guard sequence > 0 else { return nil }
        do {
            let message = try await client.message(in: stream, sequence: sequence)
            guard let letter = message.flatMap({ DeadLetter($0) }), letter.subscription.tenant == tenant else {
                return nil
            }
            return letter
        } catch {
            throw DeadLetterError(error)
        }
    }

    /// Deletes one dead letter; false if there is none of this tenant with that sequence.
    @discardableResult
    package func delete(_ tenant: TenantName, _ sequence: UInt64) async throws(DeadLetterError) -> Bool {
        guard try await get(tenant, sequence) != nil else { return false }
        do {
            return try await client.deleteMessage(in: stream, sequence: sequence)
        } catch {
            throw DeadLetterError(error)
        }
    }

    /// How many dead letters each of a tenant's subscriptions has, with one request; one without any is not there.
    ///
    /// The server names at most 100,000 subscriptions.
    package func counts(_ tenant: TenantName) async throws(DeadLetterError) -> [SubscriptionName: UInt64] {
        do {
            let filter = DeadLetterMessage.filter(tenant: tenant, subscription: nil)
            guard let info = try await client.streamInfo(stream, deleted: false, subjects: filter) else { return [:] }
            var counts: [SubscriptionName: UInt64] = [:]
            for (subject, count) in info.state.subjects {
                guard let key = DeadLetter.key(subject: subject), key.tenant == tenant else { continue }
                counts[key.id] = count
            }
            return counts
        } catch {
            throw DeadLetterError(error)
        }
    }

    /// Reads a stretch, within the bounds of scans at a time.
    func scan<Item>(
        _ tenant: TenantName,
        _ request: DeadLetterScan.Request,
        _ pick: (DeadLetter) -> Item?
    ) async throws(DeadLetterError) -> DeadLetterScan.Page<Item> {
        let isFree = scans.withLock { scans in
            let count = scans[tenant] ?? 0
            guard count < Self.scansOfTenantMax, scans.values.reduce(0, +) < Self.scansMax else { return false }
            scans[tenant] = count + 1
            return true
        }
        guard isFree else { throw .busy }
        defer {
            scans.withLock { scans in
                let count = scans[tenant] ?? 0
                scans[tenant] = count > 1 ? count - 1 : nil
            }
        }
        return try await DeadLetterScan(client: client, stream: stream).page(request, pick)
    }
}
