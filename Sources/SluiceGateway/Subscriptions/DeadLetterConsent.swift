import EventBus
import EventFilters
import Webhooks

extension SinkConsents {
    /// Asks a sink for dead letters, which must consent at once and to any rate: it is sent nothing otherwise (S-08).
    ///
    /// One that the subscription has already is not asked again.
    func checkDeadLetterSink(of subscription: Subscription) async throws(Problem) {
        guard settings.isRequired, let sink = subscription.config.deadLetterSink,
            sink != subscription.sink, sink != registry.record(subscription.key)?.subscription.config.deadLetterSink,
            let fault = await objection(of: sink.text, to: subscription)
        else { return }
        var problems = ViolationList()
        problems.add("/config/deadLetter/sink", "S-08", fault)
        throw Problem(.invalidSubscription, problems)
    }

    /// Why the sink gets nothing; nil if it has consented.
    private func objection(of sink: String, to subscription: Subscription) async -> String? {
        let target: WebhookSink
        do {
            let url = try Webhooks.SinkURL(parsing: sink)
            target = try WebhookSink(url: url, partition: subscription.key.durableName, method: "OPTIONS")
        } catch {
            return "the sink cannot be asked for its consent"
        }
        let request = WebhookHandshake.request(target, origin: settings.origin, timeout: settings.timeout)
        switch await sinks.send(request) {
        case .failure(let failure): return "the sink could not be asked for its consent: \(failure.text)"
        case .success(let response):
            switch WebhookHandshake.read(response, origin: settings.origin) {
            case .consent(nil), .consent(.unlimited): return nil
            case .consent: return "the sink consents to a bounded rate, which dead letters do not keep"
            case .noConsent(let reason): return "the sink has not consented: \(reason)"
            }
        }
    }
}
