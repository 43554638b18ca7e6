import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// One listener for two kinds of request: publishing in NIO channel handlers, all else in Hummingbird.
///
/// A connection starts with the publishing path alone. When the first request of another route comes, Hummingbird's part
/// is added behind it, for this connection: a publisher's connection costs no task and no asynchronous channel.
struct GatewayChannel: ServerChildChannel {
    /// A connection and, if it ever asks for another route, its asynchronous face.
    struct Value: ServerChildChannelValue {
        let channel: any Channel
        let handedOff: EventLoopFuture<HTTP1Channel.Value?>
    }

    let http: HTTP1Channel
    let loops: PublishLoops
    let settings: PublishSettings
    let gate: ConnectionGate
    let logger: Logger

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            if let refusal = gate.admit(channel) {
                try channel.pipeline.syncOperations.addHandler(RefusalHandler(gate, refusal))
                return Value(channel: channel, handedOff: channel.eventLoop.makeSucceededFuture(nil))
            }
            let promise = channel.eventLoop.makePromise(of: HTTP1Channel.Value?.self)
            var limits = NIOHTTPDecoderLimitConfiguration()
            limits.maxHeaderFieldSize = PublishSettings.headerBytesMax
            limits.maxHeaderListSize = PublishSettings.headerBytesMax
            limits.maxHeaderFieldCount = PublishSettings.headerFieldsMax
            let pipeline = channel.pipeline.syncOperations
            let edge = ConnectionEdge()
            try pipeline.addHandler(edge)
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: true,
                withErrorHandling: false,
                withOutboundHeaderValidation: false,
                withEncoderConfiguration: .init(),
                withDecoderLimitConfiguration: limits
            )
            let handler = PublishHandler(
                loop: try loops.loop(of: channel),
                edge: edge,
                settings: settings,
                logger: self.logger,
                handOff: { context in promise.succeed(try Self.addHummingbird(context.channel)) }
            )
            try pipeline.addHandler(handler)
            channel.closeFuture.whenComplete { _ in promise.succeed(nil) }
            return Value(channel: channel, handedOff: promise.futureResult)
        }
    }

    func handle(value: Value, logger: Logger) async {
        // The promise is always kept: at the latest when the channel closes.
        if let handedOff = try? await value.handedOff.get() {
            await http.handle(value: handedOff, logger: logger)
        }
    }

    private static func addHummingbird(_ channel: any Channel) throws -> HTTP1Channel.Value {
        try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
        return try HTTP1Channel.Value(
            wrappingChannelSynchronously: channel,
            configuration: .init(isOutboundHalfClosureEnabled: true)
        )
    }
}

/// The publishing state of every event loop, made before the first connection.
struct PublishLoops: Sendable {
    private let loops: [PublishLoop]

    /// The connection's event loop is not one of the group's.
    struct UnknownLoop: Error {}

    init(_ group: any EventLoopGroup, _ make: (any EventLoop) -> PublishLoop) {
        loops = group.makeIterator().map(make)
    }

    /// The state of the event loop that `channel` lives on.
    func loop(of channel: any Channel) throws -> PublishLoop {
        guard let loop = loops.first(where: { $0.eventLoop === channel.eventLoop }) else { throw UnknownLoop() }
        return loop
    }

    /// Makes every answer from now on its connection's last.
    func startLeaving() {
        for loop in loops { loop.eventLoop.execute { loop.isLeaving = true } }
    }

    /// Begins the end: what is still open after `time` is closed.
    func startDraining(within time: TimeAmount) {
        let deadline = NIODeadline.now() + time
        for loop in loops { loop.eventLoop.execute { loop.drain(until: deadline) } }
    }

    /// Starts what every loop does by itself.
    func startTimers() {
        for loop in loops { loop.startTimers() }
    }

    /// Waits until nothing is in flight, and hands on the last counts.
    func settleAll(within limit: Duration) async {
        let deadline = ContinuousClock.now + limit
        while await settle().inFlight > 0, ContinuousClock.now < deadline {
            // A cancelled task does not sleep: the pause has one of its own.
            await Task { try? await Task.sleep(for: .milliseconds(5)) }.value
        }
    }

    /// Hands on what every loop has counted; returns what they hold together.
    func settle() async -> LoopState {
        var sum = LoopState()
        for loop in loops {
            guard let state = try? await loop.eventLoop.submit({ loop.settle() }).get() else { continue }
            sum += state
        }
        return sum
    }
}
