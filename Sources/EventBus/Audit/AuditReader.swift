import JetStream

/// Reads messages of streams for a verification: patiently, so that a reconnect does not look like a loss.
struct AuditReader: Sendable {
    /// What is stored under a sequence.
    enum Lookup: Sendable {
        case found(StoredMessage)
        case absent
        /// The server has something there and cannot give it.
        case unreadable(String)
    }

    let client: JetStreamClient
    /// How long the broker may be away or silent before the verification is given up.
    let patience: Duration

    /// A message by its sequence; one of a stream that does not exist is absent.
    func message(_ stream: StreamName, _ sequence: UInt64) async throws(AuditVerificationError) -> Lookup {
        do throws(JetStreamError) {
            let found = try await insisting { () async throws(JetStreamError) in
                try await client.message(in: stream, sequence: sequence)
            }
            return found.map(Lookup.found) ?? .absent
        } catch {
            return try Self.lookup(after: error)
        }
    }

    /// The first message at or after a sequence, whatever its subject.
    func next(_ stream: StreamName, _ sequence: UInt64) async throws(AuditVerificationError) -> Lookup {
        do throws(JetStreamError) {
            let found = try await insisting { () async throws(JetStreamError) in
                try await client.nextMessage(in: stream, from: sequence)
            }
            return found.map(Lookup.found) ?? .absent
        } catch {
            return try Self.lookup(after: error)
        }
    }

    /// A stream's settings and fill, or `nil` if it does not exist.
    func info(_ stream: StreamName) async throws(AuditVerificationError) -> StreamInfo? {
        do throws(JetStreamError) {
            return try await insisting { () async throws(JetStreamError) in try await client.streamInfo(stream) }
        } catch {
            throw .unavailable(error.description)
        }
    }

    private static let streamNotFound = 10059

    private static func lookup(after error: JetStreamError) throws(AuditVerificationError) -> Lookup {
        switch error {
        case .api(_, streamNotFound, _): return .absent
        case _ where isPassing(error): throw .unavailable(error.description)
        case .api, .badResponse: return .unreadable(error.description)
        default: throw .unavailable(error.description)
        }
    }

    /// Tries again while the broker is away or overloaded, and a few times whatever else it says.
    private func insisting<Value: Sendable>(
        _ body: () async throws(JetStreamError) -> Value
    ) async throws(JetStreamError) -> Value {
        let clock = ContinuousClock()
        var deadline: ContinuousClock.Instant?
        var refusals = 0
        while true {
            do throws(JetStreamError) {
                return try await body()
            } catch {
                refusals += 1
                let limit = deadline ?? clock.now + patience
                deadline = limit
                if Self.isFinal(error) || clock.now >= limit || Task.isCancelled { throw error }
                if !Self.isPassing(error), refusals >= 3 { throw error }
            }
            try? await clock.sleep(for: .milliseconds(200))
        }
    }

    private static func isFinal(_ error: JetStreamError) -> Bool {
        switch error {
        case .closed, .api(_, streamNotFound, _): true
        default: false
        }
    }

    /// Whether the error says nothing of the message, only that the broker cannot answer now.
    private static func isPassing(_ error: JetStreamError) -> Bool {
        switch error {
        case .notConnected, .overloaded, .timeout, .connectionLost, .noResponders: true
        case .api(let code, _, _): code == 503 || code == 429
        case .closed, .badResponse: false
        }
    }
}
