import EventBus
import EventFilters
import NIOCore
import Webhooks

/// Looks at the sinks of a new definition (S-05): their text, and the addresses of their names if these can be found.
///
/// Every connection looks again; this is so that whoever subscribes is told at once.
struct SinkScreening: Sendable {
    let rules: SinkAddressRules
    let resolver: any SinkResolver

    /// How long a name may take; one that takes longer is left to the connections.
    private static let patience = TimeAmount.seconds(3)

    /// Why a sink's text is refused, as the end of a sentence; nil if it is not.
    static func objection(to text: String, _ rules: SinkAddressRules) -> String? {
        do {
            try rules.check(try Webhooks.SinkURL(parsing: text))
            return nil
        } catch let refusal as SinkAddressRules.Refusal {
            return "is refused: \(refusal.reason)"
        } catch let fault as Webhooks.SinkURL.Fault {
            return fault.reason
        } catch {
            return "cannot be read"
        }
    }

    /// - Throws: everything that is wrong with the sinks.
    func check(_ subscription: Subscription, on eventLoop: any EventLoop) async throws(Problem) {
        var problems = ViolationList()
        let sinks = [("/sink", subscription.sink), ("/config/deadLetter/sink", subscription.config.deadLetterSink)]
        for (pointer, sink) in sinks {
            guard let sink, let objection = await objection(to: sink.text, on: eventLoop) else { continue }
            problems.add(pointer, "S-05", "the sink \(objection)")
        }
        if !problems.isEmpty { throw Problem(.invalidSubscription, problems) }
    }

    private func objection(to text: String, on eventLoop: any EventLoop) async -> String? {
        if let objection = Self.objection(to: text, rules) { return objection }
        guard let url = try? Webhooks.SinkURL(parsing: text), case .name(let name) = url.host,
            let addresses = await addresses(of: name, on: eventLoop)
        else { return nil }
        do {
            try rules.check(addresses)
            return nil
        } catch {
            return "is refused: its name leads to an address that is not allowed: \(error.reason)"
        }
    }

    /// The addresses of a name; nil if they cannot be found now.
    private func addresses(of name: String, on eventLoop: any EventLoop) async -> [IPAddress]? {
        let promise = eventLoop.makePromise(of: [IPAddress].self)
        let timer = eventLoop.scheduleTask(in: Self.patience) {
            promise.fail(WebhookResolveFault(reason: "no answer"))
        }
        resolver.resolve(name, on: eventLoop).whenComplete { result in
            timer.cancel()
            promise.completeWith(result)
        }
        return try? await promise.futureResult.get()
    }
}
