import CloudEvents
import EventBus
import EventFilters
import Hummingbird
import NIOCore

/// Pull and settle, in the shapes of Event Grid's namespaces (design §4, market d.1).
struct PullPages: Sendable {
    let engine: DeliveryEngine

    /// Most tokens of a call, and most bytes of its body.
    static let tokensMax = 1000
    static let bodyBytesMax = 1 << 20

    /// Answers on our own paths, for the tenant of the request.
    func respond(
        _ id: String,
        _ verb: DeliveryTarget.PullVerb,
        _ request: Request,
        on channel: any Channel
    ) async throws(Problem) -> Response {
        let key = SubscriptionKey(
            tenant: try RequestReading.tenant(request),
            id: try RequestReading.subscription(id)
        )
        return try await respond(key, verb, request, ignoring: [], on: channel)
    }

    /// Answers for a subscription.
    ///
    /// - Parameter ignored: query parameters that may be there and mean nothing.
    func respond(
        _ key: SubscriptionKey,
        _ verb: DeliveryTarget.PullVerb,
        _ request: Request,
        ignoring ignored: [String],
        on channel: any Channel
    ) async throws(Problem) -> Response {
        let target = request.uri.description
        switch verb {
        case .receive:
            var query = try RequestReading.Query(target, allowed: ["maxEvents", "maxWaitTime"] + ignored)
            let count = query.integer("maxEvents", 1...1000, default: 1)
            let wait = query.integer("maxWaitTime", 0...120, default: 60)
            try query.check()
            return .json(try await receive(key, max: count, wait: wait, on: channel))
        case .release:
            var query = try RequestReading.Query(target, allowed: ["releaseDelayInSeconds"] + ignored)
            let delay = query.integer("releaseDelayInSeconds", 0...86_400, default: 0)
            try query.check()
            return try await settle(key, .release(delay: .seconds(delay)), request)
        case .acknowledge, .reject, .renewLock:
            _ = try RequestReading.Query(target, allowed: ignored)
            let how: SettleVerb = verb == .acknowledge ? .acknowledge : verb == .reject ? .reject : .renew
            return try await settle(key, how, request)
        }
    }

    // MARK: Receive

    private func receive(
        _ key: SubscriptionKey,
        max: Int,
        wait: Int,
        on channel: any Channel
    ) async throws(Problem) -> [UInt8] {
        let ask = { @Sendable () async -> Result<[ReceivedEvent], SubscriptionError> in
            do throws(SubscriptionError) {
                return .success(try await self.receive(key, max: max, within: .seconds(wait)))
            } catch {
                return .failure(error)
            }
        }
        // Who does not wait gets an answer before it could go away.
        let (result, clientIsGone) = wait == 0 ? (await ask(), false) : await ClientWatch.run(on: channel, ask)
        do throws(SubscriptionError) {
            let events = try result.get()
            guard clientIsGone, !events.isEmpty else { return Self.answer(events) }
            // They came in the moment in which the client went: somebody else shall have them at once.
            _ = try? await engine.settle(key, .release(delay: .zero), tokens: events.map(\.lockToken))
            return Self.answer([])
        } catch {
            throw Problem(error)
        }
    }

    /// Receives, and asks again where nothing came before its time: delivery is just beginning, changing hands or paused,
    /// and who asked to wait must not be made to ask on and on.
    private func receive(
        _ key: SubscriptionKey,
        max: Int,
        within wait: Duration
    ) async throws(SubscriptionError) -> [ReceivedEvent] {
        let start = ContinuousClock.now
        var pause = Duration.milliseconds(20)
        while true {
            var fault: SubscriptionError?
            do throws(SubscriptionError) {
                let left = Swift.max(.zero, wait - (.now - start))
                let events = try await engine.receive(key, max: max, wait: left)
                if !events.isEmpty { return events }
            } catch {
                // One that was made a moment ago has not been taken up yet.
                guard case .unavailable = error, .now - start < .seconds(1) else { throw error }
                fault = error
            }
            let left = wait - (.now - start)
            guard left > .zero, (try? await Task.sleep(for: min(pause, left))) != nil else {
                if let fault { throw fault }
                return []
            }
            pause = min(pause * 2, .milliseconds(500))
        }
    }

    /// `{"value":[{"brokerProperties":{…},"event":{…}}]}`, the events as they are stored.
    private static func answer(_ events: [ReceivedEvent]) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(16 + events.count * 1024)
        body.appendJSON(raw: "{\"value\":[")
        var isFirst = true
        for event in events {
            body.appendJSON(
                raw: isFirst ? "{\"brokerProperties\":{\"lockToken\":\"" : ",{\"brokerProperties\":{\"lockToken\":\""
            )
            isFirst = false
            // Letters, digits, `-` and `_`.
            body.append(contentsOf: event.lockToken.utf8)
            body.appendJSON(raw: "\",\"deliveryCount\":")
            body.appendJSON(integer: UInt64(Swift.max(event.deliveryCount, 1)))
            body.appendJSON(raw: ",\"sequence\":")
            body.appendJSON(integer: event.sequence)
            body.appendJSON(raw: ",\"enqueuedTime\":\"")
            let (seconds, nanoseconds) = Swift.max(event.storedAt, 0).quotientAndRemainder(dividingBy: 1_000_000_000)
            body.append(secondsSinceEpoch: seconds, nanoseconds: Int32(nanoseconds / 1_000_000 * 1_000_000))
            body.appendJSON(raw: "\",\"lockedUntil\":\"")
            let (until, rest) = Swift.max(event.lockedUntil, 0).quotientAndRemainder(dividingBy: 1000)
            body.append(secondsSinceEpoch: until, nanoseconds: Int32(rest * 1_000_000))
            body.appendJSON(raw: "\"},\"event\":")
            event.appendJSON(to: &body)
            body.append(UInt8(ascii: "}"))
        }
        body.appendJSON(raw: "]}")
        return body
    }

    // MARK: Settle

    private func settle(
        _ key: SubscriptionKey,
        _ verb: SettleVerb,
        _ request: Request
    ) async throws(Problem) -> Response {
        let body = try await RequestReading.json(request, max: Self.bodyBytesMax)
        let tokens = try Self.tokens(body)
        do throws(SubscriptionError) {
            return .json(Self.answer(tokens, try await engine.settle(key, verb, tokens: tokens)))
        } catch {
            throw Problem(error)
        }
    }

    /// Reads `{"lockTokens":[…]}`.
    static func tokens(_ body: [UInt8]) throws(Problem) -> [String] {
        let members = try RequestReading.object(body, what: "the body")
        var problems = ViolationList()
        var tokens: [String] = []
        let lists = members.filter { $0.name == "lockTokens" }
        if lists.count != 1 {
            problems.add("/lockTokens", "lockTokens", lists.isEmpty ? "is required" : "is there more than once")
        }
        for member in members where member.name != "lockTokens" {
            let name = member.name ?? "?"
            problems.add(
                ViolationList.pointer("", name),
                "lockTokens",
                "unknown member \(ViolationList.shown(name)); known: lockTokens"
            )
        }
        if let list = lists.first {
            if case .array(let elements) = list.value, (1...tokensMax).contains(elements.count) {
                for (index, element) in elements.enumerated() {
                    if let token = element.text {
                        tokens.append(token)
                    } else {
                        problems.add("/lockTokens/\(index)", "lockTokens", "must be a string, not \(element.kindName)")
                    }
                }
            } else {
                problems.add("/lockTokens", "lockTokens", "must be an array of 1 to \(tokensMax) lock tokens")
            }
        }
        if !problems.isEmpty { throw Problem(.invalidRequest, problems) }
        return tokens
    }

    private static func answer(_ tokens: [String], _ outcomes: [TokenOutcome]) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(64 + tokens.reduce(0) { $0 + $1.utf8.count + 3 })
        body.appendJSON(raw: "{\"succeededLockTokens\":[")
        var isFirst = true
        for (token, outcome) in zip(tokens, outcomes) {
            guard case .succeeded = outcome else { continue }
            if !isFirst { body.append(UInt8(ascii: ",")) }
            isFirst = false
            body.appendJSON(string: token)
        }
        body.appendJSON(raw: "],\"failedLockTokens\":[")
        isFirst = true
        for (token, outcome) in zip(tokens, outcomes) {
            guard case .failed(let fault) = outcome else { continue }
            if !isFirst { body.append(UInt8(ascii: ",")) }
            isFirst = false
            body.appendJSON(raw: "{\"lockToken\":")
            body.appendJSON(string: token)
            body.appendJSON(raw: ",\"error\":{\"code\":\"")
            body.appendJSON(raw: fault.code)
            body.appendJSON(raw: "\",\"message\":\"")
            body.appendJSON(raw: fault.message)
            body.appendJSON(raw: "\"}}")
        }
        body.appendJSON(raw: "]}")
        return body
    }
}

extension TokenOutcome.Fault {
    /// Event Grid's name for it, where there is one.
    fileprivate var code: StaticString {
        switch self {
        case .badToken: "BadToken"
        case .lost: "TokenLost"
        case .unknown: "OutcomeUnknown"
        }
    }

    fileprivate var message: StaticString {
        switch self {
        case .badToken: "This is no lock token of this subscription, or it is too old."
        case .lost: "The lock is gone: it expired or was settled. An event that is not settled comes again."
        case .unknown: "It is not known whether this was done: the same call again is safe."
        }
    }
}
