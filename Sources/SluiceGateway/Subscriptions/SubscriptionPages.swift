import EventBus
import EventFilters
import HTTPTypes
import Hummingbird
import NIOCore

/// `/v1/subscriptions`: the CloudEvents Subscriptions API, with pause, resume and status.
struct SubscriptionPages: Sendable {
    let registry: SubscriptionRegistry
    let engine: DeliveryEngine
    let reader: SubscriptionReader
    let screening: SinkScreening
    let consents: SinkConsents
    /// The name of the stream of the events.
    let stream: String

    /// How many items a page has: by default, and at most.
    static let pageDefault = 100
    static let pageMax = 1000

    // MARK: Reading

    /// A page of the tenant's subscriptions, by their ids.
    func list(_ request: Request) throws(Problem) -> Response {
        let tenant = try RequestReading.tenant(request)
        var query = try RequestReading.Query(request.uri.description, allowed: ["limit", "after"])
        let limit = query.integer("limit", 1...Self.pageMax, default: Self.pageDefault)
        let after = query["after"].flatMap { SubscriptionName($0) }
        if query["after"] != nil, after == nil {
            query.refuse("after", "is no cursor: take it from the 'next' of a page")
        }
        try query.check()
        try checkCurrent()
        var records = registry.all(of: tenant)[...]
        if let after {
            records = records.drop { !after.text.utf8.lexicographicallyPrecedes($0.key.id.text.utf8) }
        }
        let page = records.prefix(limit)
        var body: [UInt8] = []
        body.appendJSON(raw: "{\"items\":[")
        for (index, record) in page.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            object(record).write(into: &body)
        }
        body.appendJSON(raw: "],\"next\":")
        if page.count < records.count, let last = page.last {
            body.appendJSON(string: last.key.id.text)
        } else {
            body.appendJSON(raw: "null")
        }
        body.append(UInt8(ascii: "}"))
        return .json(body)
    }

    /// One subscription.
    func one(_ id: String, _ request: Request) throws(Problem) -> Response {
        let key = try key(id, request)
        try checkCurrent()
        guard let record = registry.record(key) else { throw Problem(.notFound) }
        return answer(record)
    }

    /// How delivery to it goes.
    func status(_ id: String, _ request: Request) async throws(Problem) -> Response {
        let key = try key(id, request)
        try checkCurrent()
        guard let record = registry.record(key) else { throw Problem(.notFound) }
        let position: SubscriptionPosition
        do throws(SubscriptionError) {
            position = try await engine.position(of: key)
        } catch {
            throw Problem(error)
        }
        let report = await engine.report(key)
        var body: [UInt8] = []
        let fault = consents.fault(of: record)
        SubscriptionStatus(record: record, position: position, report: report, fault: fault).write(into: &body)
        return .json(body)
    }

    // MARK: Changing

    /// POST: a subscription under a name of ours.
    func create(_ request: Request, on channel: any Channel) async throws(Problem) -> Response {
        let tenant = try RequestReading.tenant(request)
        let subscription = try await read(request, id: .random(), tenant, mustNameItself: false, on: channel)
        do throws(SubscriptionError) {
            let opening = consents.open(subscription, replacing: nil)
            let made = try await registry.create(subscription, consent: opening.consent)
            return answer(await consents.ask(made, opening), status: .created)
        } catch {
            throw Problem(error)
        }
    }

    /// PUT: a subscription under the caller's name, made or replaced as a whole.
    func replace(_ id: String, _ request: Request, on channel: any Channel) async throws(Problem) -> Response {
        let key = try key(id, request)
        let subscription = try await read(request, id: key.id, key.tenant, mustNameItself: true, on: channel)
        do throws(SubscriptionError) {
            try checkIsCurrent()
            let opening = consents.open(subscription, replacing: registry.record(key))
            let replacement = try await registry.upsert(subscription, consent: opening.consent)
            let record = await consents.ask(replacement.record, opening)
            let status: HTTPResponse.Status = replacement.isNew ? .created : .ok
            return answer(record, status: status, restartedAt: replacement.restartedAt)
        } catch {
            throw Problem(error)
        }
    }

    func delete(_ id: String, _ request: Request) async throws(Problem) -> Response {
        let key = try key(id, request)
        do throws(SubscriptionError) {
            try await registry.delete(key)
        } catch {
            throw Problem(error)
        }
        return Response(status: .noContent)
    }

    /// `:pause` and `:resume`.
    func change(
        _ id: String,
        _ verb: DeliveryTarget.StateVerb,
        _ request: Request
    ) async throws(Problem) -> Response {
        let key = try key(id, request)
        if verb == .pause, registry.record(key)?.subscription.deliveryProtocol == .nats {
            let detail = "nats-server serves native clients and goes on: stop the clients, or delete the subscription"
            throw Problem(kind: .wrongProtocol, detail: detail)
        }
        do throws(SubscriptionError) {
            switch verb {
            case .pause: return answer(try await registry.pause(key))
            case .resume: return answer(try await consents.resume(key))
            }
        } catch {
            throw Problem(error)
        }
    }

    // MARK: Parts

    private func key(_ id: String, _ request: Request) throws(Problem) -> SubscriptionKey {
        SubscriptionKey(
            tenant: try RequestReading.tenant(request),
            id: try RequestReading.subscription(id)
        )
    }

    private func read(
        _ request: Request,
        id: SubscriptionName,
        _ tenant: TenantName,
        mustNameItself: Bool,
        on channel: any Channel
    ) async throws(Problem) -> Subscription {
        let body = try await RequestReading.json(request, max: SubscriptionConfig.Limits.bodyBytes)
        let subscription: Subscription
        do throws(InvalidSubscription) {
            subscription = try reader.read(body[...], id: id, tenant: tenant, mustNameItself: mustNameItself)
        } catch {
            throw Problem(error)
        }
        try await screening.check(subscription, on: channel.eventLoop)
        try await consents.checkDeadLetterSink(of: subscription)
        return subscription
    }

    /// Nothing is missing before all has been read.
    private func checkCurrent() throws(Problem) {
        do throws(SubscriptionError) {
            try checkIsCurrent()
        } catch {
            throw Problem(error)
        }
    }

    private func checkIsCurrent() throws(SubscriptionError) {
        if !registry.isCurrent { throw .unavailable("subscriptions are still being read") }
    }

    private func object(_ record: SubscriptionRecord, restartedAt: UInt64? = nil) -> SubscriptionObject {
        SubscriptionObject(
            record: record,
            fault: consents.fault(of: record),
            stream: stream,
            restartedAt: restartedAt
        )
    }

    private func answer(
        _ record: SubscriptionRecord,
        status: HTTPResponse.Status = .ok,
        restartedAt: UInt64? = nil
    ) -> Response {
        var body: [UInt8] = []
        object(record, restartedAt: restartedAt).write(into: &body)
        var response = Response.json(body, status: status)
        if status == .created { response.headers[.location] = "/v1/subscriptions/\(record.key.id)" }
        return response
    }
}
