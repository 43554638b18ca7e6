import NIOCore

/// The connections to one scheme, host and port for one partition, and the requests that wait for one.
///
/// Used on the client's event loop only.
final class SinkOrigin {
    let key: OriginKey
    let url: SinkURL
    let hostQuota: ConnectionQuota
    /// Whether the URL has been judged.
    var isChecked = false
    private(set) var waitingCount = 0

    private let client: WebhookClient
    private var waiting: CircularBuffer<WebhookExchange> = []
    private var idle: [HTTP1Connection] = []
    private var http1: [ObjectIdentifier: HTTP1Connection] = [:]
    private var http2: [HTTP2Connection] = []
    private var connecting: [ObjectIdentifier: SinkConnector] = [:]
    /// What the sink speaks, once it is known.
    private var isHTTP2: Bool?
    private var isStarving = false
    private var isTaking = false
    /// No exchange is due earlier.
    private var earliest = NIODeadline.distantFuture

    init(_ sink: WebhookSink, client: WebhookClient, quota: ConnectionQuota) {
        key = sink.key
        url = sink.url
        self.client = client
        hostQuota = quota
        isHTTP2 = sink.url.isSecure ? nil : false
    }

    private var configuration: WebhookClient.Configuration { client.configuration }
    private var connectionCount: Int { http1.count + http2.count + connecting.count }

    // MARK: Requests

    /// Starts an exchange, or keeps it until it can be started.
    func add(_ exchange: WebhookExchange) {
        earliest = min(earliest, exchange.deadline)
        if waitingCount == 0, let connection = takeConnection() {
            connection.start(exchange)
            return
        }
        waiting.append(exchange)
        waitingCount += 1
        open()
    }

    /// A connection that can take a request now.
    private func takeConnection() -> (any SinkConnection)? {
        // Nothing may forget this origin while a connection that proves unusable is closed.
        isTaking = true
        defer { isTaking = false }
        while let connection = idle.popLast() {
            if connection.isUsable { return connection }
            connection.close(Self.closedIdle)
        }
        return http2.first(where: \.hasRoom)
    }

    /// Takes an exchange out, wherever it is; returns how far it came.
    func remove(_ exchange: WebhookExchange) -> WebhookFailure.Progress {
        guard let connection = exchange.connection else {
            if let index = waiting.firstIndex(where: { $0 === exchange }) {
                waiting.remove(at: index)
                waitingCount -= 1
            }
            return .notSent
        }
        exchange.connection = nil
        connection.abandon(exchange)
        return .noAnswer(closedUnused: false)
    }

    /// Starts what waits, and opens connections for the rest.
    func serve() {
        guard !isTaking else { return }
        while waitingCount > 0, let connection = takeConnection(), let exchange = waiting.popFirst() {
            waitingCount -= 1
            connection.start(exchange)
        }
        open()
        forgetIfUnused()
    }

    // MARK: Connections

    private func open() {
        var needed = waitingCount - connecting.count
        // The first connection tells whether one will carry everything.
        if isHTTP2 != false { needed = min(needed, 1 - connecting.count - http2.count { !$0.isSettled }) }
        while needed > 0, connectionCount < configuration.connectionsPerOriginMax {
            guard !isStarving else { return }
            for quota in [hostQuota, client.quota] where !quota.hasRoom {
                isStarving = true
                quota.wait(self)
                client.evict(from: quota)
                return
            }
            needed -= 1
            hostQuota.take()
            client.quota.take()
            client.countOpened()
            let connector = SinkConnector(self, client: client)
            connecting[ObjectIdentifier(connector)] = connector
            connector.start()
        }
    }

    func connected(_ connector: SinkConnector, to connection: HTTP1Connection) {
        isHTTP2 = false
        guard !connection.isOver else { return failed(connector, Self.closedAtOnce) }
        connecting[ObjectIdentifier(connector)] = nil
        http1[ObjectIdentifier(connection)] = connection
        release(connection)
    }

    func connected(_ connector: SinkConnector, to connection: HTTP2Connection) {
        isHTTP2 = true
        guard !connection.isOver else { return failed(connector, Self.closedAtOnce) }
        connecting[ObjectIdentifier(connector)] = nil
        http2.append(connection)
        serve()
    }

    /// A connection could not be made: the request it was made for fails.
    func failed(_ connector: SinkConnector, _ failure: WebhookFailure) {
        connecting[ObjectIdentifier(connector)] = nil
        let exchange = waiting.popFirst()
        if exchange != nil { waitingCount -= 1 }
        giveBack()
        if let exchange { client.finish(exchange, .failure(failure)) }
        serve()
    }

    /// An HTTP/1.1 connection is free for the next request.
    func release(_ connection: HTTP1Connection) {
        if isTurnOver(connection) {
            connection.close(Self.closedIdle)
            return
        }
        connection.idleSince = .now()
        idle.append(connection)
        if waitingCount > 0 { serve() }
    }

    /// Whether a connection must make way for other origins that have none.
    private func isTurnOver(_ connection: HTTP1Connection) -> Bool {
        let others = hostQuota.starvingCount + client.quota.starvingCount - (isStarving ? 1 : 0)
        return others > 0 && (waitingCount == 0 || connection.served >= Self.requestsOfATurn)
    }

    /// How many requests an origin may send over a connection while others have none.
    private static let requestsOfATurn = 16

    /// A connection has ended.
    func closed(_ connection: HTTP1Connection) {
        guard http1.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        idle.removeAll { $0 === connection }
        giveBack()
        serve()
    }

    /// A connection has ended.
    func closed(_ connection: HTTP2Connection) {
        guard let index = http2.firstIndex(where: { $0 === connection }) else { return }
        http2.remove(at: index)
        giveBack()
        serve()
    }

    private func giveBack() {
        for quota in [hostQuota, client.quota] {
            quota.giveBack()
            // One that no longer needs its place must not keep it from the next.
            while quota.hasRoom, let next = quota.nextWaiting() {
                next.isStarving = false
                next.serve()
            }
        }
    }

    /// Returns whether there was one.
    func closeOldestIdle() -> Bool {
        if let oldest = idle.first {
            idle.removeFirst()
            oldest.close(Self.closedIdle)
            return true
        }
        guard let unused = http2.first(where: \.isIdle) else { return false }
        unused.close(Self.closedIdle)
        return true
    }

    func forgetIfUnused() {
        guard connectionCount == 0, waitingCount == 0, !isStarving else { return }
        client.forget(self)
    }

    // MARK: Time

    /// Ends what is overdue and what has rested for too long.
    func tick(_ now: NIODeadline) {
        let restedSince = now - TimeAmount(configuration.idleTimeout)
        while let oldest = idle.first, oldest.idleSince <= restedSince {
            idle.removeFirst()
            oldest.close(Self.closedIdle)
        }
        for connection in http2 where connection.isIdle && connection.idleSince <= restedSince {
            connection.close(Self.closedIdle)
        }
        guard earliest <= now else { return }
        var overdue: [WebhookExchange] = []
        earliest = .distantFuture
        for exchange in waiting {
            if exchange.deadline <= now {
                overdue.append(exchange)
            } else {
                earliest = min(earliest, exchange.deadline)
            }
        }
        for connection in http1.values { earliest = min(earliest, connection.collect(overdue: now, into: &overdue)) }
        for connection in http2 { earliest = min(earliest, connection.collect(overdue: now, into: &overdue)) }
        for exchange in overdue where !exchange.hasEnded {
            let progress = remove(exchange)
            let what = progress == .notSent ? "connection" : "answer"
            let text = "no \(what) within \(exchange.request.timeout)"
            client.finish(exchange, .failure(WebhookFailure(.timeout, progress, text)))
        }
        serve()
    }

    func shutdown() {
        let failure = WebhookFailure(.cancelled, .notSent, "shutting down")
        let exchanges = Array(waiting)
        waiting.removeAll()
        waitingCount = 0
        isStarving = false
        for exchange in exchanges { client.finish(exchange, .failure(failure)) }
        for connector in Array(connecting.values) { connector.cancel(failure) }
        for connection in Array(http1.values) { connection.close(failure) }
        for connection in http2 { connection.close(failure) }
        forgetIfUnused()
    }

    func add(to status: inout WebhookClient.Status) {
        status.connections += http1.count + http2.count
        status.connecting += connecting.count
        status.waiting += waitingCount
        status.idle += idle.count + http2.count { $0.isIdle }
        status.inFlight += http1.count - idle.count + http2.reduce(0) { $0 + $1.streamCount }
    }

    private static let closedAtOnce = WebhookFailure(.connectFailed, .notSent, "the connection was closed at once")
    private static let closedIdle = WebhookFailure(.reset, .notSent, "the connection was idle")
}
