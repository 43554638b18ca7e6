import CloudEvents
import EventBus
import Hummingbird
import JetStream
import Logging
import Webhooks

/// Asks sinks for their consent before anything is sent to them (CloudEvents webhooks §4, S-08).
///
/// A subscription waits, with nothing sent and nothing lost, until the sink says yes: in the answer to `OPTIONS`, in the
/// answer to one of the later tries, or by the callback.
final class SinkConsents: Sendable {
    struct Settings: Sendable {
        /// Whether sinks are asked at all.
        var isRequired: Bool
        /// Who asks: the DNS name of the sending system.
        var origin: String
        /// Where sinks reach the gateway; nil offers no callback.
        var publicURL: String?
        /// How long a sink may take.
        var timeout: Duration
    }

    /// How a subscription begins: what is kept of the sink's consent, and whether it is to be asked.
    struct Opening: Sendable {
        var consent: SinkConsent
        /// The secret of the callback.
        var token: CallbackToken?
    }

    /// What this replica knows of a sink that has not consented.
    private struct Waiting {
        var fault: String?
        var tries = 0
        var next: ContinuousClock.Instant
    }

    let registry: SubscriptionRegistry
    let sinks: PushSinks
    let settings: Settings
    private let logger: Logger
    private let waiting = Locked<[SubscriptionKey: Waiting]>([:])

    /// How long a callback is taken, in seconds.
    private static let callbackSeconds: Int64 = 7 * 86_400
    /// The pauses between tries; the last one repeats, until ``patience`` is at its end.
    private static let pauses: [Duration] = [.seconds(5), .seconds(15), .seconds(60), .seconds(300), .seconds(1800)]
    /// A sink that never says yes is no longer asked after so long, in seconds; `:resume` and PUT ask again.
    private static let patienceSeconds: Int64 = 7 * 86_400
    /// Most sinks that are asked at a time by themselves.
    private static let asksMax = 8

    init(registry: SubscriptionRegistry, sinks: PushSinks, settings: Settings, logger: Logger) {
        self.registry = registry
        self.sinks = sinks
        self.settings = settings
        self.logger = logger
    }

    // MARK: Asking

    /// What is known of the consent to a definition before anybody is asked.
    ///
    /// - Parameter old: what it replaces: a consent holds as long as the sink and the asking origin stay.
    func open(_ subscription: Subscription, replacing old: SubscriptionRecord?) -> Opening {
        guard subscription.deliveryProtocol == .http, settings.isRequired else {
            return Opening(consent: SinkConsent(.notNeeded))
        }
        if let old, old.consent.status == .granted, old.consent.origin == settings.origin,
            old.subscription.sink == subscription.sink
        {
            return Opening(consent: old.consent)
        }
        return freshOpening()
    }

    private func freshOpening() -> Opening {
        guard settings.publicURL != nil else { return Opening(consent: SinkConsent(.awaited)) }
        let token = CallbackToken()
        let expiry = Timestamp.now().secondsSinceEpoch + Self.callbackSeconds
        let consent = SinkConsent(
            .awaited,
            callbackDigest: ConsentToken.digest(token.text),
            callbackExpiry: Timestamp(secondsSinceEpoch: expiry)
        )
        return Opening(consent: consent, token: token)
    }

    /// Asks the sink of a stored record if its consent is awaited; returns the record as it is then.
    func ask(_ record: SubscriptionRecord, _ opening: Opening) async -> SubscriptionRecord {
        guard record.consent.status == .awaited else {
            waiting.withLock { $0[record.key] = nil }
            return record
        }
        let callback = opening.token.flatMap { token in
            settings.publicURL.map { $0 + "/v1/consents/" + ConsentToken(record.key, token.text).text }
        }
        return await handshake(record, callback: callback) ?? record
    }

    /// One `OPTIONS` to the sink; nil if it did not consent.
    private func handshake(_ record: SubscriptionRecord, callback: String?) async -> SubscriptionRecord? {
        guard let sink = record.subscription.sink else { return nil }
        let request: WebhookRequest
        do {
            request = WebhookHandshake.request(
                try WebhookSink(
                    url: try Webhooks.SinkURL(parsing: sink.text),
                    partition: record.key.durableName,
                    method: "OPTIONS"
                ),
                origin: settings.origin,
                callback: callback,
                timeout: settings.timeout
            )
        } catch {
            note("the sink cannot be asked", of: record)
            return nil
        }
        switch await sinks.send(request) {
        case .failure(let failure): note("the sink could not be asked for its consent: \(failure.text)", of: record)
        case .success(let response):
            switch WebhookHandshake.read(response, origin: settings.origin) {
            case .noConsent(let reason): note("the sink has not consented: \(reason)", of: record)
            case .consent(let rate):
                do throws(SubscriptionError) {
                    return try await grant(record, rate)
                } catch {
                    note("the sink has consented, which could not be noted: \(error)", of: record)
                }
            }
        }
        return nil
    }

    /// Notes the consent to the sink that was asked; another one that has taken its place has not consented.
    private func grant(
        _ asked: SubscriptionRecord,
        _ rate: WebhookHandshake.Rate?
    ) async throws(SubscriptionError) -> SubscriptionRecord {
        let record = try await registry.update(asked.key) { record in
            guard record.consent.status == .awaited, record.subscription.sink == asked.subscription.sink else {
                return false
            }
            record.grant(to: settings.origin, rate)
            return true
        }
        waiting.withLock { $0[asked.key] = nil }
        return record
    }

    // MARK: What the API asks for

    /// Lets delivery go on; a sink that has not consented is asked again, with a new callback.
    func resume(_ key: SubscriptionKey) async throws(SubscriptionError) -> SubscriptionRecord {
        let opening = freshOpening()
        let isRequired = settings.isRequired
        let record = try await registry.update(key) { record in
            let before = record
            if record.consent.status == .awaited {
                record.consent = isRequired ? opening.consent : SinkConsent(.notNeeded)
            }
            record.state = record.consent.status == .awaited ? .awaitingConsent : .active
            return record != before
        }
        return await ask(record, opening)
    }

    /// `GET` or `POST /v1/consents/{token}`: the sink consents later (HOOK-20, HOOK-27), once.
    func redeem(_ text: String, _ request: Request) async throws(Problem) -> Response {
        let unknown = Problem(
            kind: .notFound,
            detail: "this address asks for no consent: it is wrong, it was used, or it has expired"
        )
        guard let token = ConsentToken(text) else { throw unknown }
        let rate = try ConsentToken.rate(request)
        let digest = ConsentToken.digest(token.secret)
        do throws(SubscriptionError) {
            let record = try await registry.update(token.key) { record throws(SubscriptionError) in
                guard record.consent.status == .awaited, let expected = record.consent.callbackDigest,
                    ConsentToken.isEqual(expected, digest),
                    let expiry = record.consent.callbackExpiry, Timestamp.now() < expiry
                else { throw .notFound }
                record.grant(to: settings.origin, rate)
                return true
            }
            waiting.withLock { $0[token.key] = nil }
            logger.info("a sink consented by callback", metadata: ["subscription": "\(token.key)"])
            var body: [UInt8] = []
            body.appendJSON(raw: "{\"subscription\":")
            body.appendJSON(string: token.key.id.text)
            body.appendJSON(raw: ",\"state\":")
            body.appendJSON(string: record.state.name)
            body.append(UInt8(ascii: "}"))
            return .json(body)
        } catch {
            throw error == .notFound ? unknown : Problem(error)
        }
    }

    /// Why a sink has not consented, as far as this replica knows; nil if its consent is not waited for.
    func fault(of record: SubscriptionRecord) -> String? {
        guard record.state == .awaitingConsent else { return nil }
        return waiting.withLock { $0[record.key]?.fault } ?? "the sink has not consented yet"
    }

    private func note(_ fault: String, of record: SubscriptionRecord) {
        waiting.withLock { waiting in
            let tries = waiting[record.key]?.tries ?? 0
            let pause = Self.pauses[min(tries, Self.pauses.count - 1)] * Double.random(in: 0.8...1.2)
            waiting[record.key] = Waiting(fault: fault, tries: tries + 1, next: .now + pause)
        }
        logger.info(
            "a sink has not consented",
            metadata: ["subscription": "\(record.key)", "reason": "\(fault)"]
        )
    }

    // MARK: By itself

    /// Asks those again who have not consented, until the task is cancelled.
    ///
    /// Without a new callback: the one that was sent first stays good.
    func run() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(2))
            let due = due()
            await withTaskGroup(of: Void.self) { group in
                for (index, record) in due.enumerated() {
                    if index >= Self.asksMax { await group.next() }
                    group.addTask { await self.askAgain(record) }
                }
            }
        }
    }

    private func askAgain(_ record: SubscriptionRecord) async {
        guard settings.isRequired else {
            _ = try? await registry.setConsent(record.key, SinkConsent(.notNeeded))
            return
        }
        _ = await handshake(record, callback: nil)
    }

    /// Whose turn it is; what another replica, or this one before it was restarted, has just asked is left to it for a while.
    private func due() -> [SubscriptionRecord] {
        let now = ContinuousClock.now
        let oldest = Timestamp.now().secondsSinceEpoch - Self.patienceSeconds
        let records = registry.all.filter {
            $0.state == .awaitingConsent && $0.subscription.deliveryProtocol == .http
                && $0.updated.secondsSinceEpoch > oldest
        }
        return waiting.withLock { waiting in
            if waiting.isEmpty && records.isEmpty { return [] }
            let keys = Set(records.map(\.key))
            waiting = waiting.filter { keys.contains($0.key) || $0.value.next > now }
            return records.filter { record in
                guard let known = waiting[record.key] else {
                    waiting[record.key] = Waiting(next: now + .seconds(Double.random(in: 10...20)))
                    return false
                }
                return known.next <= now
            }
        }
    }
}

extension SubscriptionRecord {
    /// Takes note that the sink has consented; delivery begins unless somebody paused it.
    fileprivate mutating func grant(to origin: String, _ rate: WebhookHandshake.Rate?) {
        consent = SinkConsent(.granted, origin: origin, ratePerMinute: rate?.perMinute)
        if state == .awaitingConsent { state = .active }
    }
}

extension WebhookHandshake.Rate {
    /// Requests a minute; nil for any number.
    fileprivate var perMinute: Int? {
        if case .perMinute(let count) = self { count } else { nil }
    }
}
