import NIOCore
import Synchronization

/// How many connections there are and how many were refused; read from any thread.
final class ConnectionCounts: Sendable {
    private let openCount = Atomic(0)
    private let globalCount = Atomic(0)
    private let addressCount = Atomic(0)

    /// Connections that are open now; refused ones are not among them.
    var open: Int { openCount.load(ordering: .relaxed) }
    /// Connections refused since the start because there were too many in all.
    var refusedGlobal: Int { globalCount.load(ordering: .relaxed) }
    /// Connections refused since the start because their client's address had too many.
    var refusedAddress: Int { addressCount.load(ordering: .relaxed) }

    fileprivate func enter(_ most: Int) -> Bool {
        if openCount.add(1, ordering: .relaxed).newValue <= most { return true }
        leave()
        globalCount.add(1, ordering: .relaxed)
        return false
    }

    fileprivate func leave() { openCount.subtract(1, ordering: .relaxed) }

    fileprivate func refuseAddress() { addressCount.add(1, ordering: .relaxed) }
}

/// Decides who may connect: a cap on all connections and one on those of a client address (S-14).
///
/// A connection beyond a cap is accepted, told so and closed: left in the system's queue, it would keep the others
/// there from being served when there is room, and its client from trying elsewhere.
final class ConnectionGate: Sendable {
    /// Why a connection is refused.
    enum Refusal { case global, address }

    /// Most refused connections that are waited for until their clients have read why; more are closed at once.
    static let lingeringMax = 48

    let counts = ConnectionCounts()
    private let connectionsMax: Int
    private let perAddressMax: Int
    private let addresses = Mutex<[AddressKey: Int]>([:])
    private let lingering = Atomic(0)

    /// - Parameter perAddressMax: 0 for none.
    init(connectionsMax: Int, perAddressMax: Int) {
        self.connectionsMax = connectionsMax
        self.perAddressMax = perAddressMax
    }

    /// Counts a new connection in, or tells why it may not stay.
    func admit(_ channel: any Channel) -> Refusal? {
        guard counts.enter(connectionsMax) else { return .global }
        let key = perAddressMax > 0 ? channel.remoteAddress.flatMap(AddressKey.init) : nil
        if let key {
            let isAdmitted = addresses.withLock { counts in
                let count = counts[key, default: 0]
                if count < perAddressMax { counts[key] = count + 1 }
                return count < perAddressMax
            }
            guard isAdmitted else {
                counts.leave()
                counts.refuseAddress()
                return .address
            }
        }
        channel.closeFuture.whenComplete { _ in self.release(key) }
        return nil
    }

    private func release(_ key: AddressKey?) {
        counts.leave()
        guard let key else { return }
        addresses.withLock { counts in
            let count = counts[key, default: 0]
            counts[key] = count > 1 ? count - 1 : nil
        }
    }

    /// Takes a place among the refused connections that are waited for, if there is one, until the channel closes.
    func linger(_ channel: any Channel) -> Bool {
        guard lingering.add(1, ordering: .relaxed).newValue <= Self.lingeringMax else {
            lingering.subtract(1, ordering: .relaxed)
            return false
        }
        channel.closeFuture.whenComplete { _ in self.lingering.subtract(1, ordering: .relaxed) }
        return true
    }
}

/// What counts as one client: an IPv4 address, or the first 64 bits of one in IPv6, which a single host has all to itself.
private struct AddressKey: Hashable, Sendable {
    let network: UInt64
    let isIPv4: Bool

    init?(_ address: SocketAddress) {
        switch address {
        case .v4(let address):
            // sockaddr_in: family and port of two bytes each, then the address.
            network = withUnsafeBytes(of: address.address) { $0[4..<8].reduce(0) { $0 << 8 | UInt64($1) } }
            isIPv4 = true
        case .v6(let address):
            // sockaddr_in6: family, port and flow label before the address.
            let bytes = withUnsafeBytes(of: address.address) { Array($0[8..<24]) }
            // ::ffff:0:0/96 are IPv4 addresses (RFC 4291 §2.5.5.2).
            isIPv4 = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
            network = (isIPv4 ? bytes[12...] : bytes[..<8]).reduce(0) { $0 << 8 | UInt64($1) }
        case .unixDomainSocket: return nil
        }
    }
}

/// The only handler of a connection that is refused: says 503 before anything is asked, and closes.
final class RefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long the client may take to close its side: closing with unread bytes would take the answer away.
    private static let lingerTime = TimeAmount.seconds(1)

    private let gate: ConnectionGate
    private let refusal: ConnectionGate.Refusal

    init(_ gate: ConnectionGate, _ refusal: ConnectionGate.Refusal) {
        self.gate = gate
        self.refusal = refusal
    }

    func channelActive(context: ChannelHandlerContext) {
        let whose = refusal == .global ? "in all" : "from this address"
        let id = RequestID.make()
        let problem = Problem(kind: .overloaded, detail: "too many connections \(whose)", closes: true)
        var writer = AnswerWriter()
        let allocator = context.channel.allocator
        let answer = problem.answer(requestID: id)
        let bytes = writer.render(answer, requestID: id, closes: true, allocator: allocator)
        let lingers = gate.linger(context.channel)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(bytes)).assumeIsolated().whenComplete { _ in
            bound.value.close(mode: lingers ? .output : .all, promise: nil)
        }
        if lingers {
            context.eventLoop.assumeIsolated().scheduleTask(in: Self.lingerTime) { bound.value.close(promise: nil) }
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .inputClosed? = event as? ChannelEvent { return context.close(promise: nil) }
        if event is ChannelShouldQuiesceEvent { return context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
