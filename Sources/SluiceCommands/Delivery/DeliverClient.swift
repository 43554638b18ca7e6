import ArgumentParser
import NIOHTTP1

/// How requests to a gateway are made, for the commands about delivery.
struct DeliverOptions: ParsableArguments {
    @Option(help: ArgumentHelp("How long one request is tried, in seconds.", valueName: "seconds"))
    var timeout = 30

    func validate() throws {
        guard (1...3600).contains(timeout) else { throw ValidationError("--timeout: not between 1 and 3600 seconds") }
    }
}

/// A gateway as the commands about delivery see it: paths in, answers out; owned by one task.
struct GatewayClient: Sendable {
    private let address: GatewayAddress
    private let tenant: String?
    private let timeoutSeconds: Int
    private var session: HTTPSession

    /// - Parameters:
    ///   - timeoutSeconds: How long a request is tried.
    ///   - answerSeconds: How long one answer may take, if that is longer.
    /// - Throws: ``CommandFailure`` when the gateway's URL is of no use.
    init(_ gateway: GatewayOptions, timeoutSeconds: Int, answerSeconds: Int = 0) throws(CommandFailure) {
        address = try gateway.address()
        tenant = gateway.tenant
        self.timeoutSeconds = timeoutSeconds
        session = HTTPSession(address: address, timeoutSeconds: max(timeoutSeconds, answerSeconds))
    }

    /// The gateway's host and port, for messages.
    var name: String { "http://\(address.server.authority)" }

    /// Sends a request and returns the body of the answer, which is a 2xx.
    ///
    /// What passes by itself (a 429 or 503 that says when, no connection) is tried again until the time is over; so is what
    /// has no certain outcome (504, a lost connection).
    ///
    /// - Parameters:
    ///   - body: JSON.
    ///   - isRepeatable: Whether doing it twice is as good as once; otherwise only a 429 is tried again.
    ///   - accepted: Other statuses than a 2xx that are an answer too.
    /// - Throws: ``CommandFailure`` with all that the gateway said: 65 when the request has to change, 69 otherwise.
    @discardableResult
    mutating func send(
        _ method: HTTPMethod,
        _ path: String,
        body: [UInt8] = [],
        isRepeatable: Bool = true,
        accepting accepted: Set<Int> = []
    ) async throws(CommandFailure) -> HTTPAnswer {
        let call = call(method, path, body)
        let deadline = ContinuousClock.now + .seconds(timeoutSeconds)
        var backoff = RetryBackoff()
        while true {
            let failure: CommandFailure
            var isPassing = isRepeatable
            var retryAfter: String?
            switch await attempt(call) {
            case .success(let answer):
                if (200..<300).contains(answer.status) || accepted.contains(answer.status) { return answer }
                failure = DeliverProblem.failure(answer)
                retryAfter = answer.fields.first(name: "retry-after")
                isPassing = Self.isPassing(answer.status, retryAfter: retryAfter, isRepeatable: isRepeatable)
            case .failure(let error):
                failure = CommandFailure("\(name): \(SafeText.escaped(error.reason))", code: ExitStatus.unavailable)
            }
            let wait = backoff.next(retryAfter: retryAfter)
            guard isPassing, ContinuousClock.now + wait < deadline else { throw failure }
            if backoff.attempts == 1 {
                let first = failure.message.split(separator: "\n").first ?? ""
                Console.note("sluice: \(first); trying again for up to \(timeoutSeconds) s")
            }
            guard (try? await Task.sleep(for: wait)) != nil else { throw failure }
        }
    }

    /// Sends a request and returns the object that it is answered with.
    mutating func object(
        _ method: HTTPMethod,
        _ path: String,
        body: [UInt8] = [],
        isRepeatable: Bool = true
    ) async throws(CommandFailure) -> JSONSlice {
        try object(try await send(method, path, body: body, isRepeatable: isRepeatable))
    }

    /// The object that an answer holds.
    ///
    /// - Throws: ``CommandFailure`` when it holds none.
    func object(_ answer: HTTPAnswer) throws(CommandFailure) -> JSONSlice {
        guard let object = try? JSONSlice(parsing: answer.body), object.members != nil else {
            throw CommandFailure("\(name): the answer is not a JSON object", code: ExitStatus.unavailable)
        }
        return object
    }

    /// Closes the connection.
    mutating func close() {
        session.close()
    }

    private mutating func attempt(_ call: HTTPCall) async -> Result<HTTPAnswer, FileError> {
        do throws(FileError) {
            return .success(try await session.send(call))
        } catch {
            return .failure(error)
        }
    }

    private func call(_ method: HTTPMethod, _ path: String, _ body: [UInt8]) -> HTTPCall {
        var call = HTTPCall(method: method, path: address.path(path), body: body)
        call.fields.append(("accept", "application/json, application/problem+json"))
        if let tenant { call.fields.append(("x-tenant-id", tenant)) }
        if !body.isEmpty { call.fields.append(("content-type", "application/json")) }
        // The client's own handler adds the length to a POST only.
        if method == .PUT { call.fields.append(("content-length", String(body.count))) }
        return call
    }

    private static func isPassing(_ status: Int, retryAfter: String?, isRepeatable: Bool) -> Bool {
        switch status {
        // Without a time it is a limit that does not pass, such as the number of subscriptions.
        case 429: retryAfter != nil
        case 503, 504: isRepeatable
        default: false
        }
    }
}

/// Refusals of a gateway as messages and exit codes.
package enum DeliverProblem {
    /// Most violations that are shown.
    static let violationsShown = 64

    /// The refusal with every violation on a line of its own.
    static func failure(_ answer: HTTPAnswer) -> CommandFailure {
        let isRefusal = (300..<500).contains(answer.status) && answer.status != 429 && answer.status != 408
        return CommandFailure(
            lines(status: answer.status, reason: answer.reason, body: try? JSONText(parsing: answer.body))
                .joined(separator: "\n"),
            code: isRefusal ? ExitStatus.refused : ExitStatus.unavailable
        )
    }

    /// Problem details (RFC 9457) in words; what a server wrote is escaped.
    package static func lines(status: Int, reason: String, body: JSONText?) -> [String] {
        var first = "\(status): \(SafeText.escaped(body?["title"]?.string ?? reason))"
        let violations = body?["violations"]?.elements ?? []
        // Of a single violation the detail says the same.
        if let detail = body?["detail"]?.string, violations.count != 1 {
            first += ": \(SafeText.escaped(detail, limit: 1024))"
        }
        var lines = [first]
        for violation in violations.prefix(violationsShown) {
            let pointer = SafeText.escaped(violation["pointer"]?.string ?? "")
            let rule = violation["rule"]?.string.map { " (\(SafeText.escaped($0)))" } ?? ""
            let detail = SafeText.escaped(violation["detail"]?.string ?? "", limit: 512)
            lines.append("  \(pointer.isEmpty ? "the whole" : pointer)\(rule): \(detail)")
        }
        if violations.count > violationsShown { lines.append("  and \(violations.count - violationsShown) more") }
        return lines
    }
}

/// Parts of paths and queries.
package enum DeliverPath {
    /// The path of a subscription.
    static func subscription(_ id: String, _ rest: String = "") -> String {
        "/v1/subscriptions/\(encoded(id))\(rest)"
    }

    /// Path and query; parameters without a value are left out.
    package static func query(_ path: String, _ parameters: [(name: String, value: String?)]) -> String {
        let given = parameters.compactMap { name, value in value.map { "\(name)=\(encoded($0))" } }
        return given.isEmpty ? path : "\(path)?\(given.joined(separator: "&"))"
    }

    /// A text as one segment or value: what is not unreserved (RFC 3986 §2.3) is percent-encoded.
    package static func encoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                bytes.append(byte)
            default:
                let digits = Array("0123456789ABCDEF".utf8)
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
