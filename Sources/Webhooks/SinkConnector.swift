import NIOCore
import NIOHTTP2
import NIOPosix
import NIOSSL
import NIOTLS

/// Makes one connection: resolves the sink's name, checks every address, connects to a checked one, and shakes hands.
///
/// Used on the client's event loop only.
final class SinkConnector {
    private let origin: SinkOrigin
    private let client: WebhookClient
    private var addresses: ArraySlice<IPAddress> = []
    private var deadline: Scheduled<Void>?
    private var end = NIODeadline.distantFuture
    private var channel: (any Channel)?
    private var isOver = false

    init(_ origin: SinkOrigin, client: WebhookClient) {
        self.origin = origin
        self.client = client
    }

    func start() {
        let timeout = client.configuration.connectTimeout
        end = .now() + TimeAmount(timeout)
        deadline = client.eventLoop.assumeIsolated().scheduleTask(deadline: end) {
            self.fail(.connectFailed, "no connection within \(timeout)")
        }
        switch origin.url.host {
        case .address(let address): check([address])
        case .name(let name):
            let found = client.configuration.resolver.resolve(name, on: client.eventLoop)
            found.assumeIsolated().whenComplete { result in
                guard !self.isOver else { return }
                switch result {
                case .success(let addresses): self.check(addresses)
                case .failure(let error):
                    let reason = (error as? WebhookResolveFault)?.reason ?? "\(error)"
                    self.fail(.resolveFailed, "the sink's name cannot be resolved: \(FailureText.clean(reason))")
                }
            }
        }
    }

    /// Gives up.
    func cancel(_ failure: WebhookFailure) { over(failure) }

    private func check(_ addresses: [IPAddress]) {
        guard !addresses.isEmpty else { return fail(.resolveFailed, "the sink's name has no address") }
        do throws(SinkAddressRules.Refusal) {
            try client.configuration.rules.check(addresses)
        } catch {
            return fail(.addressForbidden, error.reason)
        }
        self.addresses = addresses[...]
        connect("")
    }

    /// Tries the next address; what is left of the time is shared by those that remain.
    private func connect(_ lastReason: String) {
        guard let address = addresses.popFirst() else { return fail(.connectFailed, lastReason) }
        let left = (end - .now()).nanoseconds
        let share = TimeAmount.nanoseconds(left / Int64(addresses.count + 1))
        let isSecure = origin.key.isSecure
        let bound = NIOLoopBound(self, eventLoop: client.eventLoop)
        var bootstrap = ClientBootstrap(group: client.eventLoop)
            .connectTimeout(max(share, .milliseconds(100)))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value.prepare(channel) }
            }
        if !isSecure {
            let allocator = FixedSizeRecvByteBufferAllocator(capacity: 4096)
            bootstrap = bootstrap.channelOption(ChannelOptions.recvAllocator, value: allocator)
        }
        let target: SocketAddress
        do {
            target = try SocketAddress(packedIPAddress: ByteBuffer(bytes: address.bytes), port: Int(origin.url.port))
        } catch {
            return fail(.connectFailed, "\(address) cannot be connected to")
        }
        bootstrap.connect(to: target).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): self.connected(channel)
            case .failure(let error):
                guard !self.isOver else { return }
                self.connect("\(address) cannot be connected to: \(Self.reason(error))")
            }
        }
    }

    private func prepare(_ channel: any Channel) throws {
        guard origin.key.isSecure else {
            try channel.pipeline.syncOperations.addHandler(HTTP1Connection(origin, client: client))
            return
        }
        var name: String?
        if case .name(let text) = origin.url.host { name = text }
        let tls = try NIOSSLClientHandler(context: client.configuration.tls.context, serverHostname: name)
        try channel.pipeline.syncOperations.addHandlers([tls, TLSHandshakeHandler(self)])
    }

    private func connected(_ channel: any Channel) {
        guard !isOver else {
            channel.close(promise: nil)
            return
        }
        if origin.key.isSecure {
            self.channel = channel
        } else if let connection = try? channel.pipeline.syncOperations.handler(type: HTTP1Connection.self) {
            succeed()
            origin.connected(self, to: connection)
        } else {
            fail(.connectFailed, "the connection was closed at once")
        }
    }

    /// TLS is up.
    fileprivate func negotiated(_ context: ChannelHandlerContext, _ name: String?, handler: TLSHandshakeHandler) {
        guard !isOver else { return context.close(promise: nil) }
        let pipeline = context.pipeline.syncOperations
        if case .name(let host) = origin.url.host,
            !SinkIdentity.isFor(host, (try? pipeline.nioSSL_peerCertificate()) ?? nil)
        {
            context.close(promise: nil)
            return fail(.tlsFailed, "TLS failed: the certificate is not for the sink's name")
        }
        do {
            if name == "h2" {
                let connection = HTTP2Connection(origin, client: client)
                try pipeline.addHandlers([HTTP2Connection.makeFraming(), connection], position: .after(handler))
                pipeline.removeHandler(context: context, promise: nil)
                succeed()
                origin.connected(self, to: connection)
            } else {
                let connection = HTTP1Connection(origin, client: client)
                try pipeline.addHandler(connection, position: .after(handler))
                pipeline.removeHandler(context: context, promise: nil)
                succeed()
                origin.connected(self, to: connection)
            }
        } catch {
            context.close(promise: nil)
            fail(.tlsFailed, "the connection was closed at once")
        }
    }

    fileprivate func handshakeFailed(_ reason: String) {
        fail(.tlsFailed, "TLS failed: \(reason)")
    }

    private func succeed() {
        isOver = true
        deadline?.cancel()
        channel = nil
    }

    private func fail(_ kind: WebhookFailure.Kind, _ text: String) {
        over(WebhookFailure(kind, .notSent, text))
    }

    private func over(_ failure: WebhookFailure) {
        guard !isOver else { return }
        isOver = true
        deadline?.cancel()
        channel?.close(promise: nil)
        channel = nil
        origin.failed(self, failure)
    }

    /// A few words for people.
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: FailureText.clean(error.description)
        case ChannelError.connectTimeout: "no answer in time"
        case let error as NIOSSLError: FailureText.clean("\(error)")
        default: FailureText.clean("\(error)")
        }
    }
}

/// Waits for the end of the TLS handshake, then makes way for HTTP.
private final class TLSHandshakeHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let connector: SinkConnector
    private var isOver = false
    private var reason = "the connection was closed during the handshake"

    init(_ connector: SinkConnector) { self.connector = connector }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case TLSUserEvent.handshakeCompleted(let name)? = event as? TLSUserEvent, !isOver else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        isOver = true
        connector.negotiated(context, name, handler: self)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isOver else { return context.fireErrorCaught(error) }
        reason = SinkConnector.reason(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isOver {
            isOver = true
            connector.handshakeFailed(reason)
        }
        context.fireChannelInactive()
    }
}
