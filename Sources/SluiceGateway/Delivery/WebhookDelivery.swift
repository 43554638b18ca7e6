import CloudEvents
import DeliveryRules
import EventBus
import JetStream
import NIOCore
import Webhooks

/// Sends one subscription's events to its sink as CloudEvents webhooks.
final class WebhookDelivery: DeliverySink {
    private let client: WebhookClient
    private let sink: WebhookSink
    private let isStructured: Bool
    private let signer: StandardWebhooks.Signer?
    private let timeout: Duration
    private let isForDeadLetters: Bool
    /// What must not be shown although a sink sends it back (S-25).
    private let secrets: [String]

    /// - Throws: ``WebhookSink/Fault`` and `SinkURL.Fault`, if what was stored cannot be sent to.
    init(_ plan: DeliveryPlan, client: WebhookClient, timeout: Duration) throws {
        let subscription = plan.subscription
        self.client = client
        self.timeout = timeout
        isForDeadLetters = plan.isForDeadLetters
        isStructured = subscription.config.content == .structured
        let secrets = subscription.config.signingSecrets
        signer =
            secrets.isEmpty ? nil : StandardWebhooks.Signer(try secrets.map { try WebhookSecret(parsing: $0.text) })
        var fields = subscription.settings.headers.map { (name: $0.name, value: $0.value) }
        if let credential = subscription.sinkCredential { fields.append(credential.field) }
        // HOOK-04: every delivery after a granted handshake names the origin that was consented to.
        if let origin = plan.consentedOrigin { fields.append(("webhook-request-origin", origin)) }
        self.secrets = subscription.sinkCredential?.secrets ?? []
        sink = try WebhookSink(
            url: Webhooks.SinkURL(parsing: subscription.sink?.text ?? ""),
            partition: subscription.key.durableName,
            fields: fields
        )
    }

    func deliver(_ delivery: Delivery, done: @escaping (AttemptReport) -> Void) {
        post(binary(delivery) ?? structured(delivery), of: delivery, done)
    }

    /// What receivers commonly take of all header fields together, in bytes (16 KiB by default in Node.js), and in number.
    private static let fieldBytesMax = 16_000
    private static let fieldsMax = 80

    /// The message in binary mode, if the subscription wants that and the event can travel so.
    private func binary(_ delivery: Delivery) -> HTTPBinding.Message? {
        guard !isStructured, HTTPBinding.canBeBinaryWebhook(delivery.event) else { return nil }
        let message = HTTPBinding.encodeBinary(delivery.event)
        let bytes = message.fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
        return bytes <= Self.fieldBytesMax && message.fields.count <= Self.fieldsMax ? message : nil
    }

    private func structured(_ delivery: Delivery) -> HTTPBinding.Message {
        delivery.text.map { ([("Content-Type", JSONFormat.mediaType)], $0) }
            ?? HTTPBinding.encodeStructured(delivery.event)
    }

    func deliver(batch: [Delivery], done: @escaping (AttemptReport) -> Void) {
        guard let first = batch.first else { return done(AttemptReport(.completed)) }
        post(HTTPBinding.encodeBatch(batch.map(\.event)), of: first, done)
    }

    func close() {}

    private func post(_ message: HTTPBinding.Message, of delivery: Delivery, _ done: @escaping (AttemptReport) -> Void)
    {
        var fields = message.fields
        if delivery.message.hasHeaders {
            let (parent, state) = delivery.message.headers("traceparent", "tracestate")
            let trace = TraceContext(parent: parent, state: state)
            if let parent = trace.parent { fields.append(("traceparent", parent.text)) }
            if let state = trace.state { fields.append(("tracestate", state.text)) }
        }
        if isForDeadLetters {
            // Why it is a dead letter stands beside the event, never in it.
            for header in delivery.message.headers where header.name.utf8.starts(with: "Sluice-".utf8) {
                fields.append(header)
            }
        }
        if let signer {
            fields += message.body.withUnsafeBytes { body in
                signer.fields(
                    id: delivery.deliveryID,
                    timestamp: Timestamp.now().secondsSinceEpoch,
                    body: body
                )
            }
        }
        let request = WebhookRequest(
            sink,
            fields: fields,
            body: .buffer(ByteBuffer(bytes: message.body)),
            timeout: timeout
        )
        send(request, mayRepeat: true, done)
    }

    private func send(_ request: WebhookRequest, mayRepeat: Bool, _ done: @escaping (AttemptReport) -> Void) {
        client.send(request) { [self] result in
            switch result {
            case .success(let response): done(AttemptReport(response, hiding: secrets))
            case .failure(let failure):
                // A connection that the sink closed as idle just then: the same attempt goes on a fresh one, once.
                if mayRepeat, failure.progress == .noAnswer(closedUnused: true) {
                    return send(request, mayRepeat: false, done)
                }
                done(AttemptReport(failure))
            }
        }
    }
}

extension AttemptReport {
    /// What an answer means.
    ///
    /// - Parameter secrets: what is not to be told of the answer's body.
    fileprivate init(_ response: WebhookResponse, hiding secrets: [String]) {
        var error: String?
        if !(200..<300).contains(response.status) {
            let kept = Self.hide(secrets, in: String(decoding: response.bodyPrefix, as: UTF8.self))
            let body = String(decoding: kept.utf8.prefix(256), as: UTF8.self)
            error = "the sink answered \(response.status)" + (body.isEmpty ? "" : ": \(body)")
        }
        self.init(.answered(status: response.status, retryAfter: response.retryAfter), error: error)
    }

    /// A text without the secrets, also where it was cut off within one.
    private static func hide(_ secrets: [String], in text: String) -> String {
        var text = text
        for secret in secrets {
            text = text.replacing(secret, with: "[secret]")
            let cut = stride(from: min(secret.utf8.count - 1, text.utf8.count), through: 8, by: -1).first { count in
                text.utf8.suffix(count).elementsEqual(secret.utf8.prefix(count))
            }
            if let cut { text = String(decoding: text.utf8.dropLast(cut), as: UTF8.self) + "[secret]" }
        }
        return text
    }

    /// What no answer means.
    fileprivate init(_ failure: WebhookFailure) {
        switch failure.kind {
        case .badRequest: self.init(.undeliverable, error: failure.text)
        case .busy, .cancelled:
            self.init(failure.progress == .notSent ? .notTried : .failed, error: failure.text)
        case .addressForbidden, .resolveFailed, .connectFailed, .tlsFailed, .timeout, .reset, .responseTooLarge,
            .badResponse:
            self.init(.failed, error: failure.text)
        }
    }
}

extension SinkCredential {
    /// The texts that give it away, the longest first.
    fileprivate var secrets: [String] {
        switch self {
        case .plain(_, let secret): [String(field.value.dropFirst("Basic ".count)), secret].filter { !$0.isEmpty }
        case .accessToken(let token, _): [token]
        case .header(_, let value): [value]
        }
    }
}
