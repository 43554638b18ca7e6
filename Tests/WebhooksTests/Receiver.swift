import NIOCore
import NIOPosix
import NIOSSL
import ServerFixtures

/// A request as a receiver took it.
struct ReceivedRequest: Sendable {
    /// Counted over all connections, from 0.
    let number: Int
    /// Of the connection, from 0.
    let connection: Int
    let head: String
    let body: [UInt8]

    var method: String { String(head.prefix { $0 != " " }) }

    /// The values of a field.
    func values(_ name: String) -> [String] {
        head.split(separator: "\r\n").dropFirst().compactMap { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == name else { return nil }
            return String(parts[1].drop { $0 == " " })
        }
    }
}

/// What a receiver does on a connection; all on its event loop.
struct Answerer: Sendable {
    let channel: any Channel

    func send(_ text: String) { channel.writeAndFlush(ByteBuffer(string: text), promise: nil) }

    func send(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    /// An answer with a length.
    func answer(_ status: Int, _ fields: String = "", body: String = "") {
        send("HTTP/1.1 \(status) X\r\n\(fields)content-length: \(body.utf8.count)\r\n\r\n\(body)")
    }

    /// Ends both directions.
    func close() { channel.close(promise: nil) }

    /// Ends the connection with RST.
    func reset() {
        guard let options = channel as? any SocketOptionProvider else { return }
        let done = options.unsafeSetSocketOption(level: .socket, name: .so_linger, value: Linger(isOn: 1, seconds: 0))
        done.whenComplete { _ in close() }
    }

    /// `struct linger`.
    private struct Linger: Sendable {
        var isOn: Int32
        var seconds: Int32
    }

    /// Sends the same again and again, until the connection ends.
    func flood(_ text: String) {
        channel.writeAndFlush(ByteBuffer(string: text)).whenSuccess { flood(text) }
    }

    /// Sends the same again and again with pauses, until the connection ends.
    func trickle(_ text: String, every pause: TimeAmount) {
        channel.eventLoop.scheduleTask(in: pause) {
            channel.writeAndFlush(ByteBuffer(string: text)).whenSuccess { trickle(text, every: pause) }
        }
    }
}

/// An HTTP/1.1 server whose answers a test writes byte for byte.
final class Receiver: Sendable {
    typealias Script = @Sendable (ReceivedRequest, Answerer) -> Void

    /// What a receiver has seen.
    struct Seen: Sendable {
        var connections = 0
        /// Connections that are open.
        var open = 0
        var openMax = 0
        /// Requests, whether they are kept or not.
        var count = 0
        var requests: [ReceivedRequest] = []
    }

    let port: UInt16
    private let listener: any Channel
    private let seen: Shared<Seen>

    /// Starts one that is stopped with ``stop()``.
    init(
        _ host: String = "127.0.0.1",
        port: UInt16 = 0,
        keepsRequests: Bool = true,
        tls: NIOSSLContext? = nil,
        _ script: @escaping Script
    ) async throws {
        let seen = Shared(Seen())
        let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = ReceiverHandler(seen, keeps: keepsRequests, script)
                    if let tls { try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls)) }
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        listener = try await bootstrap.bind(host: host, port: Int(port)).get()
        self.port = UInt16(listener.localAddress?.port ?? 0)
        self.seen = seen
    }

    var current: Seen { seen.current }
    var requests: [ReceivedRequest] { seen.current.requests }

    func stop() async { try? await listener.close() }
}

/// Takes requests apart, one at a time.
private final class ReceiverHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let seen: Shared<Receiver.Seen>
    private let script: Receiver.Script
    private let keeps: Bool
    private var bytes: [UInt8] = []
    private var connection = 0

    init(_ seen: Shared<Receiver.Seen>, keeps: Bool, _ script: @escaping Receiver.Script) {
        self.seen = seen
        self.keeps = keeps
        self.script = script
    }

    func channelActive(context: ChannelHandlerContext) {
        connection = seen.withLock { seen in
            seen.connections += 1
            seen.open += 1
            seen.openMax = max(seen.openMax, seen.open)
            return seen.connections - 1
        }
    }

    func channelInactive(context: ChannelHandlerContext) { seen.withLock { $0.open -= 1 } }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes += unwrapInboundIn(data).readableBytesView
        while let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) {
            let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
            var request = ReceivedRequest(number: 0, connection: connection, head: head, body: [])
            let length = request.values("content-length").first.flatMap { Int($0) } ?? 0
            guard bytes.count >= end.upperBound + length else { return }
            let body = Array(bytes[end.upperBound..<(end.upperBound + length)])
            bytes.removeFirst(end.upperBound + length)
            let connection = connection
            let keeps = keeps
            request = seen.withLock { seen in
                let request = ReceivedRequest(number: seen.count, connection: connection, head: head, body: body)
                seen.count += 1
                if keeps { seen.requests.append(request) }
                return request
            }
            script(request, Answerer(channel: context.channel))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
