import JetStream

extension EventBusConfiguration {
    /// A setting that cannot be.
    public struct Fault: Error, Sendable, CustomStringConvertible {
        /// Which setting and why, without credentials.
        public let description: String
    }

    /// A configuration of texts, as an environment or a file has them; without arguments that of a gateway of defaults, so
    /// that both share the streams.
    ///
    /// - Parameters:
    ///   - url: one URL or several, comma-separated: `nats://user:password@host:port`.
    ///   - events: the stream of the events.
    ///   - deadLetters: the stream of what could not be delivered.
    ///   - subjectPrefix: the first token of every event's subject.
    ///   - limits: what the streams may hold, the same as the gateways' that use them.
    /// - Throws: ``Fault`` for the first text that cannot be what it should.
    public init(
        url: String = "nats://localhost:4222",
        events: String = "SLUICE_EVENTS",
        deadLetters: String = "SLUICE_DEAD_LETTERS",
        subjectPrefix: String = "ce",
        limits: StreamPlan.Limits = StreamPlan.Limits()
    ) throws(Fault) {
        var servers: [ServerURL] = []
        for (index, part) in url.split(separator: ",").enumerated() {
            do throws(ServerURL.Problem) {
                servers.append(try ServerURL(String(part.trimmingPrefix { $0 == " " })))
            } catch {
                throw Fault(description: "the NATS address \(index + 1) is not nats://host:port")
            }
        }
        guard !servers.isEmpty else { throw Fault(description: "there is no NATS address") }
        guard let prefix = SubjectPrefix(subjectPrefix) else {
            throw Fault(description: "\(subjectPrefix.debugDescription) is no subject prefix")
        }
        guard let events = StreamName(events), let deadLetters = StreamName(deadLetters) else {
            throw Fault(
                description: "one of \(events.debugDescription) and \(deadLetters.debugDescription) is no stream name"
            )
        }
        let plan = StreamPlan(events: events, deadLetters: deadLetters, prefix: prefix, limits: limits)
        self.init(servers: servers, subjectPrefix: prefix, streams: plan)
    }
}
