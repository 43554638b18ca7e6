import CloudEvents
import DeliveryRules
import EventBus
import Hummingbird
import JetStream
import NIOCore

/// `/v1/dead-letters`: what could not be delivered, and the way back.
struct DeadLetterPages: Sendable {
    private let box: DeadLetterBox
    private let registry: SubscriptionRegistry
    private let events: StreamName?
    private let prefix: SubjectPrefix?

    init(host: DeliveryHost, configuration: GatewayConfiguration) {
        box = host.deadLetters
        registry = host.registry
        events = StreamName(configuration.streamName)
        prefix = SubjectPrefix(configuration.subjectPrefix)
    }

    /// A page of the tenant's dead letters, the oldest first.
    func list(_ request: Request) async throws(Problem) -> Response {
        let tenant = try RequestReading.tenant(request)
        var query = try RequestReading.Query(
            request.uri.description,
            allowed: ["subscription", "reason", "limit", "after"]
        )
        let limit = query.integer("limit", 1...DeadLetterBox.limitMax, default: 100)
        let after = query["after"].map { UInt64($0) } ?? 0
        if after == nil { query.refuse("after", "is no cursor: take it from the 'next' of a page") }
        var filter = DeadLetterBox.Filter()
        if let text = query["subscription"] {
            filter.subscription = SubscriptionName(text)
            if filter.subscription == nil {
                query.refuse("subscription", "is not a subscription's id: \(SubscriptionName.rule)")
            }
        }
        if let text = query["reason"] {
            filter.reason = DeadLetterReason(rawValue: text)
            if filter.reason == nil { query.refuse("reason", "is unknown; known: \(DeadLetterReason.list)") }
        }
        try query.check()
        let page: DeadLetterBox.Page
        do throws(DeadLetterError) {
            page = try await box.list(tenant, filter, limit: limit, after: after ?? 0)
        } catch {
            throw Problem(error)
        }
        var body: [UInt8] = []
        body.reserveCapacity(32 + page.items.reduce(0) { $0 + 512 + $1.payload.count })
        body.appendJSON(raw: "{\"items\":[")
        for (index, letter) in page.items.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            letter.write(into: &body)
        }
        body.appendJSON(raw: "],\"next\":")
        // A cursor is opaque text, like every other one of the API.
        if let next = page.next { body.appendJSON(string: String(next)) } else { body.appendJSON(raw: "null") }
        body.append(UInt8(ascii: "}"))
        return .json(body)
    }

    /// One dead letter.
    func one(_ text: String, _ request: Request) async throws(Problem) -> Response {
        let tenant = try RequestReading.tenant(request)
        let sequence = try Self.sequence(text)
        let letter: DeadLetter?
        do throws(DeadLetterError) {
            letter = try await box.get(tenant, sequence)
        } catch {
            throw Problem(error)
        }
        guard let letter else { throw Self.unknown(sequence) }
        var body: [UInt8] = []
        letter.write(into: &body)
        return .json(body)
    }

    func delete(_ text: String, _ request: Request) async throws(Problem) -> Response {
        let tenant = try RequestReading.tenant(request)
        let sequence = try Self.sequence(text)
        let isDeleted: Bool
        do throws(DeadLetterError) {
            isDeleted = try await box.delete(tenant, sequence)
        } catch {
            throw Problem(error)
        }
        guard isDeleted else { throw Self.unknown(sequence) }
        return Response(status: .noContent)
    }

    /// Puts dead letters back for delivery.
    ///
    /// The answer comes at the end. Who goes away before ends the redrive: what is in work is finished, the rest stays.
    func redrive(_ request: Request, on channel: any Channel) async throws(Problem) -> Response {
        let tenant = try RequestReading.tenant(request)
        let body = try await RequestReading.json(request, max: RedriveBody.bytesMax)
        let wanted = try RedriveBody.read(body, tenant: tenant)
        guard let events, let prefix else { throw Problem(kind: .internalError, detail: "no event stream") }
        guard registry.isCurrent else {
            throw Problem(kind: .unavailable, detail: "subscriptions are still being read")
        }
        let (box, registry) = (box, registry)
        let (report, _) = await ClientWatch.run(on: channel) {
            await box.redrive(
                wanted,
                into: events,
                prefix: prefix,
                refusal: { letter in
                    guard let record = registry.record(letter.subscription) else { return "its subscription is gone" }
                    if record.letsThrough(letter.originalSubject ?? "", prefix: prefix) { return nil }
                    return "its subscription takes no events of this type any more"
                }
            )
        }
        if let stopped = report.stopped, report.matched == 0, report.failures.isEmpty {
            throw Problem(kind: .unavailable, detail: "nothing was put back: \(stopped)")
        }
        return .json(report.json)
    }

    private static func sequence(_ text: String) throws(Problem) -> UInt64 {
        guard let sequence = UInt64(text), sequence > 0, text.utf8.first != UInt8(ascii: "+") else {
            throw Problem(
                kind: .invalidParameter,
                detail: "\(text.quotedForDetail) is not the sequence of a dead letter"
            )
        }
        return sequence
    }

    private static func unknown(_ sequence: UInt64) -> Problem {
        Problem(kind: .notFound, detail: "there is no dead letter \(sequence)")
    }
}

extension DeadLetterReason {
    /// All of them, for error messages.
    static let list = allCases.map(\.rawValue).joined(separator: ", ")
}

extension Problem {
    init(_ error: DeadLetterError) {
        self.init(kind: .unavailable, detail: error.description)
    }
}
