package import NIOCore

/// Sends requests to sinks over HTTP/1.1 and HTTP/2, and follows no redirect.
///
/// Bound to one event loop: every call and every callback is on it. Nothing is shared between sinks but the loop: one that
/// hangs holds its own connections and nothing else. Deadlines are monotonic and kept within a tenth of a
/// second.
package final class WebhookClient {
    package struct Configuration: Sendable {
        package var rules: SinkAddressRules
        package var tls: WebhookTLS
        package var resolver: any SinkResolver
        /// Connections to one scheme, host and port for one partition.
        package var connectionsPerOriginMax = 64
        /// Connections to one host and port, of all partitions (S-29).
        package var connectionsPerHostMax = 256
        package var connectionsMax = 8192
        /// Requests that wait for a connection to one origin.
        package var waitingPerOriginMax = 1024
        /// Requests at a time on one HTTP/2 connection, or fewer if the sink says so.
        package var streamsPerConnectionMax = 128
        /// After so long without a request a connection is closed.
        package var idleTimeout = Duration.seconds(30)
        /// For resolving, connecting and TLS together.
        package var connectTimeout = Duration.seconds(10)

        package init(rules: SinkAddressRules, tls: WebhookTLS, resolver: any SinkResolver) {
            self.rules = rules
            self.tls = tls
            self.resolver = resolver
        }
    }

    /// What there is at the moment.
    package struct Status: Sendable, Equatable {
        package var origins = 0
        /// Open connections.
        package var connections = 0
        package var idle = 0
        package var connecting = 0
        package var waiting = 0
        /// Requests that have been sent and not answered.
        package var inFlight = 0
        /// Since the start.
        package var connectionsOpened: UInt64 = 0
    }

    package let eventLoop: any EventLoop
    let configuration: Configuration
    let quota: ConnectionQuota
    private var origins: [OriginKey: SinkOrigin] = [:]
    private var hosts: [HostKey: ConnectionQuota] = [:]
    private var isShutDown = false
    private var timer: Scheduled<Void>?
    private var isTimerSlow = false
    /// Requests that have not ended.
    private var live = 0
    private var opened: UInt64 = 0

    private struct HostKey: Hashable {
        let host: SinkURL.Host
        let port: UInt16
    }

    package init(eventLoop: any EventLoop, configuration: Configuration) {
        self.eventLoop = eventLoop
        self.configuration = configuration
        quota = ConnectionQuota(max: configuration.connectionsMax)
    }

    /// Sends a request, at once or when a connection is free.
    ///
    /// `completion` is called once; before this returns if the request fails at once.
    @discardableResult
    package func send(_ request: WebhookRequest, completion: @escaping WebhookExchange.Completion) -> WebhookExchange {
        eventLoop.preconditionInEventLoop()
        let origin = origin(of: request.sink)
        let deadline = NIODeadline.now() + TimeAmount(request.timeout)
        let exchange = WebhookExchange(request, deadline: deadline, origin: origin, completion: completion)
        if let failure = refusal(of: request, by: origin) {
            exchange.finish(.failure(failure))
            origin.forgetIfUnused()
            return exchange
        }
        live += 1
        startTimer()
        origin.add(exchange)
        return exchange
    }

    /// Gives a request up: `.cancelled`.
    package func cancel(_ exchange: WebhookExchange) {
        guard !exchange.hasEnded else { return }
        let progress = exchange.origin.remove(exchange)
        finish(exchange, .failure(WebhookFailure(.cancelled, progress, "cancelled")))
        exchange.origin.serve()
    }

    /// Closes all connections; what is on its way fails as cancelled, and everything sent later too.
    package func shutdown() {
        isShutDown = true
        timer?.cancel()
        timer = nil
        for origin in Array(origins.values) { origin.shutdown() }
    }

    package var status: Status {
        var status = Status(origins: origins.count, connectionsOpened: opened)
        for origin in origins.values { origin.add(to: &status) }
        return status
    }

    private func refusal(of request: WebhookRequest, by origin: SinkOrigin) -> WebhookFailure? {
        if isShutDown { return WebhookFailure(.cancelled, .notSent, "shutting down") }
        for field in request.fields where !FieldRules.isName(field.name) || !FieldRules.isValue(field.value) {
            return WebhookFailure(.badRequest, .notSent, "a field has a name or a value that HTTP does not allow")
        }
        do throws(SinkAddressRules.Refusal) {
            if !origin.isChecked { try configuration.rules.check(request.sink.url) }
            origin.isChecked = true
        } catch {
            return WebhookFailure(.addressForbidden, .notSent, error.reason)
        }
        guard origin.waitingCount < configuration.waitingPerOriginMax else {
            return WebhookFailure(.busy, .notSent, "\(origin.waitingCount) requests wait for this sink already")
        }
        return nil
    }

    private func origin(of sink: WebhookSink) -> SinkOrigin {
        if let origin = origins[sink.key] { return origin }
        let host = HostKey(host: sink.url.host, port: sink.url.port)
        let quota = hosts[host] ?? ConnectionQuota(max: configuration.connectionsPerHostMax)
        hosts[host] = quota
        let origin = SinkOrigin(sink, client: self, quota: quota)
        origins[sink.key] = origin
        quota.origins += 1
        return origin
    }

    /// An origin has nothing left.
    func forget(_ origin: SinkOrigin) {
        guard origins[origin.key] === origin else { return }
        origins[origin.key] = nil
        origin.hostQuota.origins -= 1
        if origin.hostQuota.origins == 0 { hosts[HostKey(host: origin.key.host, port: origin.key.port)] = nil }
    }

    /// Tells the result of an exchange that no origin and no connection holds any more.
    func finish(_ exchange: WebhookExchange, _ result: Result<WebhookResponse, WebhookFailure>) {
        guard !exchange.hasEnded else { return }
        live -= 1
        exchange.finish(result)
    }

    /// Counts a new connection.
    func countOpened() { opened += 1 }

    /// Closes a connection that rests, of the origins that count for `quota`.
    func evict(from quota: ConnectionQuota) {
        for origin in origins.values where quota === self.quota || origin.hostQuota === quota {
            if origin.closeOldestIdle() { return }
        }
    }

    // MARK: Time

    private static let fast = TimeAmount.milliseconds(100)
    private static let slow = TimeAmount.seconds(1)

    private func startTimer() {
        guard timer == nil || isTimerSlow else { return }
        timer?.cancel()
        schedule()
    }

    private func schedule() {
        isTimerSlow = live == 0
        timer = eventLoop.assumeIsolated().scheduleTask(in: isTimerSlow ? Self.slow : Self.fast) { [weak self] in
            self?.tick()
        }
    }

    private func tick() {
        timer = nil
        let now = NIODeadline.now()
        for origin in Array(origins.values) { origin.tick(now) }
        guard !isShutDown, timer == nil, !origins.isEmpty else { return }
        schedule()
    }
}

/// How many connections there may be together; who lacks one waits in turn.
final class ConnectionQuota {
    private let max: Int
    private(set) var count = 0
    /// How many origins count for it.
    var origins = 0
    private var starving: CircularBuffer<SinkOrigin> = []

    init(max: Int) { self.max = max }

    var hasRoom: Bool { count < max }
    /// How many origins wait for a place.
    var starvingCount: Int { starving.count }

    func take() { count += 1 }

    func giveBack() { count -= 1 }

    func nextWaiting() -> SinkOrigin? { starving.popFirst() }

    func wait(_ origin: SinkOrigin) { starving.append(origin) }
}
