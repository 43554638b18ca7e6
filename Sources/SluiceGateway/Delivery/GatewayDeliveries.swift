import EventBus
import Logging
import NIOCore
import NIOPosix
import TenantMetrics
import Webhooks

/// What sinks may be and how they are reached, read from the configuration once.
struct SinkSettings: Sendable {
    let rules: SinkAddressRules
    let tls: WebhookTLS
    let timeout: Duration

    /// - Throws: ``GatewayConfigurationError`` with everything that is wrong.
    init(_ configuration: GatewayConfiguration) throws(GatewayConfigurationError) {
        var faults: [String] = []
        var networks: [IPNetwork] = []
        for text in configuration.sinkNetworks {
            do throws(IPNetwork.Fault) {
                networks.append(try IPNetwork(parsing: text))
            } catch {
                faults.append("SINK_ALLOW_NETWORKS: \(text.quotedForDetail) \(error.reason)")
            }
        }
        rules = SinkAddressRules(allowedNetworks: networks, allowsPlainHTTP: configuration.sinkAllowsHTTP)
        timeout = .milliseconds(Int64(configuration.sinkTimeoutSeconds * 1000))
        do throws(WebhookTLS.Fault) {
            tls = try WebhookTLS(extraRoots: configuration.sinkCAFile)
        } catch {
            throw GatewayConfigurationError(faults: faults + ["SINK_CA_FILE: \(error.reason)"])
        }
        guard faults.isEmpty else { throw GatewayConfigurationError(faults: faults) }
    }

    /// How definitions of subscriptions are read: a sink that can never be connected to is refused at once.
    func reader(_ configuration: GatewayConfiguration) -> SubscriptionReader {
        var defaults = SubscriptionConfig()
        defaults.maxAttempts = configuration.maxDeliverAttempts
        let rules = rules
        let sinkRules = SinkRules(allowsHTTP: configuration.sinkAllowsHTTP) { sink in
            do {
                try rules.check(try Webhooks.SinkURL(parsing: sink.text))
                return nil
            } catch let refusal as SinkAddressRules.Refusal {
                return refusal.reason
            } catch let fault as Webhooks.SinkURL.Fault {
                return fault.reason
            } catch {
                return "cannot be used"
            }
        }
        return SubscriptionReader(sinkRules: sinkRules, defaults: defaults)
    }
}

/// The delivering half of a gateway: event loops of its own, so that deliveries never hold up publishing, the HTTP clients
/// on them, and the host of all subscriptions.
final class GatewayDeliveries: Sendable {
    let host: DeliveryHost
    let sinks: PushSinks
    /// `nil` where no counters of tenants are kept.
    private let account: DeliveryAccount?
    private let group: MultiThreadedEventLoopGroup
    private let drainTime: Duration

    init(
        _ configuration: GatewayConfiguration,
        _ settings: SinkSettings,
        bus: EventBus,
        tenants: TenantMetrics?,
        attemptTook: @escaping @Sendable (Int64) -> Void
    ) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: configuration.effectiveHTTPThreads)
        let loops = group.makeIterator().map { EventLoopDelivery($0) }
        let client = WebhookClient.Configuration(rules: settings.rules, tls: settings.tls, resolver: SystemResolver())
        sinks = PushSinks(loops, client, timeout: settings.timeout)
        host = DeliveryHost(
            bus: bus,
            loops: loops,
            sinks: sinks,
            subscriptionsPerTenantMax: configuration.maxSubscriptions,
            attemptTook: attemptTook
        )
        account = DeliveryAccount(host.engine, tenants)
        drainTime = .milliseconds(Int64(configuration.drainTimeoutSeconds * 1000))
    }

    /// Delivers until the task is cancelled; then finishes what runs and gives back the rest.
    func run() async {
        await withTaskGroup(of: Void.self) { tasks in
            if let account { tasks.addTask { await account.run() } }
            await host.run(drainTime: drainTime)
            tasks.cancelAll()
        }
        await account?.count()
    }

    /// Closes all connections to sinks and ends the event loops; after ``run()``.
    func shutdown() async {
        sinks.shutdown()
        try? await group.shutdownGracefully()
    }
}
