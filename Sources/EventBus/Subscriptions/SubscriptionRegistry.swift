package import JetStream
package import Logging

/// All subscriptions: kept in a key-value bucket, watched, and brought together with their consumers.
///
/// One per process. Every replica has a change of any other within a second, and all of them after a restart. Records come
/// first and consumers follow from them: whatever is interrupted is completed by ``ensureConsumer(_:)`` of whoever delivers.
/// All methods may be called from any thread or task.
package final class SubscriptionRegistry: Sendable {
    /// Where things are kept, and how many.
    package struct Settings: Sendable {
        /// The stream of the events.
        package var events: StreamName
        /// The first tokens of the events' subjects.
        package var prefix: SubjectPrefix
        /// The bucket of the records.
        package var bucket = SubscriptionRegistry.bucketName
        /// Copies of the bucket in a cluster.
        package var replicas = 1
        /// Most subscriptions of a tenant (S-28).
        package var perTenantMax = 1000
        /// How often at most the progress of a subscription is noted.
        package var checkpointInterval = Duration.seconds(30)

        /// Settings of defaults for this stream and prefix.
        package init(events: StreamName, prefix: SubjectPrefix) {
            self.events = events
            self.prefix = prefix
        }
    }

    package static let bucketName: BucketName = {
        guard let name = BucketName("SLUICE_SUBSCRIPTIONS") else { preconditionFailure("the name is a bucket's") }
        return name
    }()

    let client: JetStreamClient
    let settings: Settings
    let logger: Logger
    let bucket: KeyValueBucket
    let table = Locked(RegistryTable())
    let floors: Locked<FloorBook>

    /// Makes a registry; nothing happens before ``run(_:)``.
    package init(client: JetStreamClient, settings: Settings, logger: Logger) {
        self.client = client
        self.settings = settings
        self.logger = logger
        bucket = KeyValueBucket(client: client, name: settings.bucket, replicas: settings.replicas)
        floors = Locked(FloorBook(interval: settings.checkpointInterval))
    }

    /// Opens the bucket and watches it until the task is cancelled; tries again for ever while NATS is away.
    ///
    /// `onChange` is told of every subscription that is new, changed or gone: the record that was told before and the new
    /// one, one call at a time and in the order of the changes. How far delivery is (`cursor`) is no change. It must return
    /// soon and must not wait for the registry.
    package func run(
        _ onChange: @escaping @Sendable (_ old: SubscriptionRecord?, _ new: SubscriptionRecord?) -> Void
    ) async {
        await open()
        guard !Task.isCancelled else { return }
        let (currents, arrived) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let watch = bucket.watch { [self] event in
            switch event {
            case .entry(let entry):
                if let change = take(entry) { onChange(change.old, change.new) }
            case .current:
                table.withLock { ($0.isCurrent, $0.trouble) = (true, nil) }
                SubscriptionLog.current(all.count, logger)
                arrived.yield()
            case .lost(let reason):
                let trouble = BucketTrouble(settings.bucket, watchLost: reason)
                table.withLock { $0.trouble = trouble }
                SubscriptionLog.watchLost(trouble.reason, logger)
            }
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { for await _ in currents { await self.deleteOrphans() } }
            group.addTask { await self.checkpointForEver() }
            await group.waitForAll()
        }
        watch.stop()
    }

    private func open() async {
        var pause = Duration.milliseconds(100)
        while !Task.isCancelled {
            do throws(JetStreamError) {
                try await bucket.open()
                return table.withLock { $0.trouble = nil }
            } catch {
                let trouble = BucketTrouble(settings.bucket, error)
                let isNews = table.withLock { table in
                    defer { table.trouble = trouble }
                    return table.trouble != trouble
                }
                // Nothing is amiss before the first connection.
                if isNews, error != .notConnected { SubscriptionLog.notOpened(trouble.reason, logger) }
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(2))
        }
    }

    private func take(_ entry: KeyValueBucket.Entry) -> RegistryTable.Change? {
        guard let key = SubscriptionKey(bucketKey: entry.key) else {
            SubscriptionLog.unreadable(entry.key, entry.revision, logger)
            return nil
        }
        guard !entry.isDeleted else {
            floors.withLock { $0.forget(key) }
            return table.withLock { $0.take(key, nil, revision: entry.revision) }
        }
        guard let record = SubscriptionRecord(json: entry.value, key: key, revision: entry.revision) else {
            SubscriptionLog.unreadable(entry.key, entry.revision, logger)
            return nil
        }
        return table.withLock { $0.take(key, record, revision: entry.revision) }
    }

    /// Whether all that was stored when the watch began has been read: before, nothing is known to be missing.
    package var isCurrent: Bool { table.withLock { $0.isCurrent } }

    /// What is in the way of knowing them, or their changes, now; `nil` if nothing is.
    var trouble: BucketTrouble? { table.withLock { $0.trouble } }

    /// All subscriptions of all tenants, in no order.
    package var all: [SubscriptionRecord] { table.withLock { $0.all } }

    /// A tenant's subscriptions by their ids, in the order of their bytes.
    package func all(of tenant: TenantName) -> [SubscriptionRecord] {
        table.withLock { $0.all }.filter { $0.key.tenant == tenant }
            .sorted { $0.key.id.text.utf8.lexicographicallyPrecedes($1.key.id.text.utf8) }
    }

    /// A subscription as this replica knows it.
    package func record(_ key: SubscriptionKey) -> SubscriptionRecord? { table.withLock { $0[key] } }

    /// A subscription as this replica knows it, if it has the protocol that a call is for.
    ///
    /// - Throws: ``SubscriptionError/notFound``, ``SubscriptionError/wrongProtocol(_:)``.
    package func record(
        _ key: SubscriptionKey,
        speaking wanted: DeliveryProtocol
    ) throws(SubscriptionError) -> SubscriptionRecord {
        guard let record = record(key) else { throw .notFound }
        guard record.subscription.deliveryProtocol == wanted else {
            throw .wrongProtocol(record.subscription.deliveryProtocol)
        }
        return record
    }
}

extension SubscriptionKey {
    /// The key in the bucket.
    var bucketKey: KeyValueBucket.Key { KeyValueBucket.Key(tokens: [tenant.text, id.text]) }

    /// Takes a key of the bucket; `nil` if no subscription has it.
    init?(bucketKey text: String) {
        guard let tokens = KeyValueBucket.Key(text: text)?.tokens, tokens.count == 2,
            let tenant = TenantName(tokens[0]), let id = SubscriptionName(tokens[1])
        else { return nil }
        self.init(tenant: tenant, id: id)
    }
}
