import Glibc
import NIOCore

/// Ends what a client waits for when the client goes away, or when the gateway is shutting down.
///
/// Stands at the socket's end of a connection's pipeline. Confined to the connection's event loop.
final class ClientWatch: ChannelInboundHandler, @unchecked Sendable {
    // Safe: everything is touched on the connection's event loop only.
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var onEnd: (@Sendable () -> Void)?
    /// The client has said its last word.
    ///
    /// Perhaps it still reads; nobody can tell before an answer is written.
    private var isGone = false
    private var isEnding = false

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent {
            isGone = true
            end()
        } else if event is ChannelShouldQuiesceEvent {
            isEnding = true
            end()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        isGone = true
        end()
        context.fireChannelInactive()
    }

    private func end() {
        onEnd?()
        onEnd = nil
    }

    /// Runs `body` and cancels its task as soon as nobody will read the answer, or the gateway wants to end.
    ///
    /// - Returns: What came of it, and whether the client is gone.
    static func run<Value: Sendable>(
        on channel: any Channel,
        _ body: @escaping @Sendable () async -> Value
    ) async -> (value: Value, clientIsGone: Bool) {
        let work = Task { await body() }
        let watch = try? await channel.eventLoop.submit {
            let watch = try Self.watch(of: channel)
            watch.begin(channel) { work.cancel() }
            return watch
        }.get()
        // Without a watch there is no connection any more.
        if watch == nil { work.cancel() }
        let value = await withTaskCancellationHandler {
            await work.value
        } onCancel: {
            work.cancel()
        }
        let isGone = try? await channel.eventLoop.submit { watch?.finish() ?? true }.get()
        return (value, isGone ?? true)
    }

    /// The connection's watch; added when it is first needed.
    private static func watch(of channel: any Channel) throws -> ClientWatch {
        let pipeline = channel.pipeline.syncOperations
        if let watch = try? pipeline.handler(type: ClientWatch.self) { return watch }
        let watch = ClientWatch()
        try pipeline.addHandler(watch, position: .first)
        return watch
    }

    private func begin(_ channel: any Channel, _ onEnd: @escaping @Sendable () -> Void) {
        if !channel.isActive || Self.hasEnded(channel) { isGone = true }
        self.onEnd = onEnd
        if isGone || isEnding { end() }
    }

    private func finish() -> Bool {
        onEnd = nil
        return isGone
    }

    /// Whether the client closed its side before the watch was there; what it sent before is not touched.
    private static func hasEnded(_ channel: any Channel) -> Bool {
        let hasEnded = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { descriptor in
            var byte: UInt8 = 0
            return recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) == 0
        }
        return hasEnded ?? false
    }
}
