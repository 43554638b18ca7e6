import NIOCore
import NIOPosix
import ServerFixtures
import Webhooks

/// A client on an event loop of its own, for the length of a test.
final class ClientRun: @unchecked Sendable {
    // Safe: the client is only touched on its event loop.
    private let client: WebhookClient
    private let loop: any EventLoop

    /// - Parameter configure: changes the limits.
    init(
        rules: SinkAddressRules? = nil,
        roots: String? = nil,
        resolver: (any SinkResolver)? = nil,
        _ configure: (inout WebhookClient.Configuration) -> Void = { _ in }
    ) throws {
        let rules =
            try rules ?? SinkAddressRules(allowedNetworks: IPNetwork.list("127.0.0.0/8,::1"), allowsPlainHTTP: true)
        var configuration = WebhookClient.Configuration(
            rules: rules,
            tls: try WebhookTLS(extraRoots: roots),
            resolver: resolver ?? SystemResolver(threads: 2)
        )
        configure(&configuration)
        loop = MultiThreadedEventLoopGroup.singleton.next()
        client = WebhookClient(eventLoop: loop, configuration: configuration)
    }

    typealias Outcome = Result<WebhookResponse, WebhookFailure>

    /// Sends a request from the loop; `done` is called there.
    func start(
        _ request: @autoclosure @escaping @Sendable () -> WebhookRequest,
        done: @escaping @Sendable (Outcome) -> Void
    ) {
        loop.execute { self.client.send(request(), completion: done) }
    }

    /// Sends a request and waits for what comes of it.
    func send(
        _ sink: WebhookSink,
        fields: [(name: String, value: String)] = [],
        body: [UInt8] = Array("{}".utf8),
        timeout: Duration = .seconds(60),
        wanted: [String] = []
    ) async -> Outcome {
        await withCheckedContinuation { continuation in
            let request = { @Sendable in
                WebhookRequest(sink, fields: fields, body: .bytes(body), timeout: timeout, wantedFields: wanted)
            }
            start(request()) { continuation.resume(returning: $0) }
        }
    }

    /// Sends the same request many times at once and waits for all.
    func sendMany(_ count: Int, _ sink: WebhookSink, timeout: Duration = .seconds(60)) async -> [Outcome] {
        await withTaskGroup(of: Outcome.self) { group in
            for _ in 0..<count { group.addTask { await self.send(sink, timeout: timeout) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
    }

    /// Runs on the loop.
    func onLoop<Value: Sendable>(_ body: @escaping @Sendable (WebhookClient) -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: body(self.client)) }
        }
    }

    var status: WebhookClient.Status {
        get async { await onLoop { $0.status } }
    }

    /// Waits until the client's state is as wanted.
    func becomes(_ condition: @escaping @Sendable (WebhookClient.Status) -> Bool) async -> Bool {
        let end = ContinuousClock.now + .seconds(30)
        while await !condition(status) {
            if ContinuousClock.now > end { return false }
            await Task.yield()
        }
        return true
    }

    func stop() async { await onLoop { $0.shutdown() } }
}

/// A sink on loopback.
func makeSink(
    _ port: UInt16,
    host: String = "127.0.0.1",
    scheme: String = "http",
    path: String = "/hook",
    partition: String = "a",
    method: String = "POST",
    fields: [(name: String, value: String)] = []
) throws -> WebhookSink {
    let url = try SinkURL(parsing: "\(scheme)://\(host):\(port)\(path)")
    return try WebhookSink(url: url, partition: partition, method: method, fields: fields)
}

extension Result where Success == WebhookResponse, Failure == WebhookFailure {
    var status: Int? { try? get().status }

    var failure: WebhookFailure? {
        if case .failure(let failure) = self { return failure }
        return nil
    }
}
