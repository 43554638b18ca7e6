import NIOCore
import NIOPosix

/// What a NATS server says of itself when a client connects: its `INFO` line.
struct NATSGreeting: Sendable {
    let version: String
    let serverName: String
    let hasJetStream: Bool
    let maxPayload: Int?

    /// For people, with foreign text made safe.
    var summary: String {
        var text = "\(SafeText.escaped(version)), JetStream \(hasJetStream ? "on" : "off")"
        if let maxPayload { text += ", max_payload \(Decimals.grouped(maxPayload)) bytes" }
        return text
    }

    /// Connects, reads the greeting and closes; no credentials are sent.
    ///
    /// - Throws: ``FileError`` with the reason in words.
    static func read(host: String, port: Int, timeoutSeconds: Int) async throws(FileError) -> NATSGreeting {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let result = eventLoop.makePromise(of: NATSGreeting.self)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(Int64(timeoutSeconds)))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        GreetingHandler(result: result, timeout: .seconds(Int64(timeoutSeconds)))
                    )
                }
            }
            .connect(host: host, port: port)
            .whenFailure { result.fail($0) }
        do {
            return try await result.futureResult.get()
        } catch let error as FileError {
            throw error
        } catch {
            throw FileError(ConnectFailure.reason(error))
        }
    }

    fileprivate init(line: [UInt8]) throws(FileError) {
        let fault = FileError("what answers there is not a NATS server")
        guard line.starts(with: "INFO ".utf8), let info = try? JSONText(parsing: line.dropFirst(5)) else { throw fault }
        version = info["version"]?.string ?? "?"
        serverName = info["server_name"]?.string ?? ""
        hasJetStream = info["jetstream"]?.bool ?? false
        maxPayload = info["max_payload"]?.integer
    }
}

/// Collects the first line that comes.
private final class GreetingHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    let result: EventLoopPromise<NATSGreeting>
    private let timeout: TimeAmount
    private var line: [UInt8] = []
    private var deadline: Scheduled<Void>?
    private var isDone = false

    init(result: EventLoopPromise<NATSGreeting>, timeout: TimeAmount) {
        self.result = result
        self.timeout = timeout
    }

    func channelActive(context: ChannelHandlerContext) {
        let context = NIOLoopBound(context, eventLoop: context.eventLoop)
        deadline = context.value.eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            self.finish(context.value, .failure(FileError("it accepts connections but says nothing")))
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        line.append(contentsOf: buffer.readableBytesView)
        if let end = line.firstIndex(of: UInt8(ascii: "\n")) {
            let text = Array(line[..<end])
            finish(context, Result { try NATSGreeting(line: text) })
        } else if line.count > 65_536 {
            finish(context, .failure(FileError("what answers there is not a NATS server")))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(context, .failure(FileError("it closed the connection without a greeting")))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(context, .failure(FileError(ConnectFailure.reason(error))))
    }

    private func finish(_ context: ChannelHandlerContext, _ outcome: Result<NATSGreeting, any Error>) {
        guard !isDone else { return }
        isDone = true
        deadline?.cancel()
        result.completeWith(outcome)
        context.close(promise: nil)
    }
}

/// Reasons why a connection failed, in words.
enum ConnectFailure {
    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let failure = error.connectionErrors.first { return reason(failure.error) }
            return "the name \(SafeText.quoted(error.host)) cannot be resolved"
        case let error as IOError: return FileError.system(error.errnoCode).reason
        case ChannelError.connectTimeout: return "no answer to the connection request"
        case let error as FileError: return error.reason
        default: return SafeText.escaped("\(error)")
        }
    }
}
