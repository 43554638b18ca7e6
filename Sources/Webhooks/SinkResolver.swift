import NIOConcurrencyHelpers
package import NIOCore
import NIOPosix

/// Finds the addresses of a sink's name, for one connection.
package protocol SinkResolver: Sendable {
    /// Never blocks; every call asks anew, so that no answer outlives its connection.
    ///
    /// - Returns: All addresses; a failure is described in a ``WebhookResolveFault``.
    func resolve(_ name: String, on eventLoop: any EventLoop) -> EventLoopFuture<[IPAddress]>
}

/// A name without addresses, and why.
package struct WebhookResolveFault: Error, Sendable, Equatable {
    package let reason: String

    package init(reason: String) { self.reason = reason }
}

/// The system's resolver on a few threads of its own; safe from any thread, one for the whole process.
///
/// Those who ask for a name that is being asked for share its answer: one slow name holds one thread.
package final class SystemResolver: SinkResolver {
    /// Most names that wait or are being resolved.
    private static let namesMax = 1024

    private let pool: NIOThreadPool
    /// For domains whose last answer took long, so that they wait for each other only.
    private let slowPool: NIOThreadPool
    private let slow = NIOLockedValueBox<Set<String>>([])
    private static let slowMax = 4096
    private let pending = NIOLockedValueBox<[String: [EventLoopPromise<[IPAddress]>]]>([:])
    private let lookUp: @Sendable (String) -> Result<[IPAddress], WebhookResolveFault>
    /// An answer that took longer makes its domain a slow one; a quicker one ends that.
    private static let longAnswer = TimeAmount.seconds(1)

    /// Starts the threads.
    ///
    /// - Parameters:
    ///   - threads: of each of the two pools.
    ///   - lookUp: asks for the addresses of a name; it may block. Without, the system is asked.
    package init(
        threads: Int = 8,
        lookUp: (@Sendable (String) -> Result<[IPAddress], WebhookResolveFault>)? = nil
    ) {
        self.lookUp = lookUp ?? AddressLookup.addresses
        pool = NIOThreadPool(numberOfThreads: threads)
        pool.start()
        slowPool = NIOThreadPool(numberOfThreads: threads)
        slowPool.start()
    }

    deinit {
        pool.shutdownGracefully { _ in }
        slowPool.shutdownGracefully { _ in }
    }

    /// The last two labels of a name.
    private static func domain(_ name: String) -> String { name.split(separator: ".").suffix(2).joined(separator: ".") }

    package func resolve(_ name: String, on eventLoop: any EventLoop) -> EventLoopFuture<[IPAddress]> {
        let promise = eventLoop.makePromise(of: [IPAddress].self)
        enum Step {
            case ask
            case wait
            case refuse
        }
        let step = pending.withLockedValue { pending -> Step in
            if pending[name] != nil {
                pending[name]?.append(promise)
                return .wait
            }
            guard pending.count < Self.namesMax else { return .refuse }
            pending[name] = [promise]
            return .ask
        }
        switch step {
        case .wait: break
        case .refuse: promise.fail(WebhookResolveFault(reason: "too many names are being resolved"))
        case .ask:
            let isSlow = slow.withLockedValue { $0.contains(Self.domain(name)) }
            (isSlow ? slowPool : pool).submit { state in self.work(name, isActive: state == .active) }
        }
        return promise.futureResult
    }

    private func work(_ name: String, isActive: Bool) {
        let start = NIODeadline.now()
        let result = isActive ? lookUp(name) : .failure(WebhookResolveFault(reason: "shutting down"))
        let tookLong = NIODeadline.now() - start > Self.longAnswer
        slow.withLockedValue { slow in
            if slow.count >= Self.slowMax { slow.removeAll() }
            if tookLong { slow.insert(Self.domain(name)) } else { slow.remove(Self.domain(name)) }
        }
        let promises = pending.withLockedValue { $0.removeValue(forKey: name) ?? [] }
        for promise in promises { promise.completeWith(result.mapError { $0 as any Error }) }
    }
}
