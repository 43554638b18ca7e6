import NIOCore
import NIOHTTP1

/// What became of a request after all attempts.
enum PublishOutcome: Sendable {
    /// The gateway's last answer.
    case answer(HTTPAnswer)
    /// There was none.
    case unreachable(String)
}

/// Sends requests one at a time and repeats those that may be repeated, with growing pauses.
///
/// Repeating is safe: the events' ids stay the same, and the gateway stores an identity once.
struct PublishSender: Sendable {
    private let address: GatewayAddress
    private let timeoutSeconds: Int
    private let tenant: String?
    private var session: HTTPSession

    init(address: GatewayAddress, timeoutSeconds: Int, tenant: String?) {
        self.address = address
        self.timeoutSeconds = timeoutSeconds
        self.tenant = tenant
        session = HTTPSession(address: address, timeoutSeconds: timeoutSeconds)
    }

    /// Sends a request until it is answered for good or the time is over.
    mutating func send(_ call: HTTPCall) async -> PublishOutcome {
        var call = call
        call.path = address.path(call.path)
        call.fields.append(("accept", "application/json, application/problem+json"))
        if let tenant { call.fields.append(("x-tenant-id", tenant)) }
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        var backoff = RetryBackoff()
        while true {
            let outcome = await attempt(call)
            let wait: Duration
            switch outcome {
            case .answer(let answer):
                guard RetryBackoff.isRepeatable(status: answer.status) else { return outcome }
                wait = backoff.next(retryAfter: answer.fields.first(name: "retry-after"))
            case .unreachable: wait = backoff.next(retryAfter: nil)
            }
            guard ContinuousClock.now + wait < deadline else { return outcome }
            if backoff.attempts == 1 { tell(outcome) }
            do {
                try await Task.sleep(for: wait)
            } catch {
                return outcome
            }
        }
    }

    /// Closes the connection.
    mutating func close() {
        session.close()
    }

    private mutating func attempt(_ call: HTTPCall) async -> PublishOutcome {
        do throws(FileError) {
            return .answer(try await session.send(call))
        } catch {
            return .unreachable("http://\(address.server.authority): \(error.reason)")
        }
    }

    private func tell(_ outcome: PublishOutcome) {
        let what =
            switch outcome {
            case .answer(let answer): "the gateway answered \(answer.status) \(answer.reason)"
            case .unreachable(let reason): reason
            }
        Console.note("sluice: \(what); trying again for up to \(timeoutSeconds) s")
    }
}

/// Pauses between attempts: 0.1 s, doubled each time up to 5 s, ±20 %; a server's `Retry-After` is kept as a minimum.
package struct RetryBackoff: Sendable {
    /// How many pauses were given out.
    package private(set) var attempts = 0

    package init() {}

    /// Whether an answer says that the same request may succeed later.
    package static func isRepeatable(status: Int) -> Bool {
        status == 429 || status == 503 || status == 504
    }

    /// The next pause.
    ///
    /// - Parameter retryAfter: The field's value in whole seconds; dates and nonsense are ignored.
    package mutating func next(retryAfter: String?) -> Duration {
        let step = min(5.0, 0.1 * Double(1 << min(attempts, 10)))
        attempts += 1
        let own = step * Double.random(in: 0.8...1.2)
        guard let retryAfter, let seconds = Int(retryAfter), (0...86_400).contains(seconds) else {
            return .milliseconds(Int64(own * 1000))
        }
        return .milliseconds(Int64(max(own, Double(seconds)) * 1000))
    }
}
