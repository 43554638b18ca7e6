import NIOCore

/// A request on its way; the handle to cancel it.
///
/// Used on the client's event loop only.
package final class WebhookExchange {
    package typealias Completion = (Result<WebhookResponse, WebhookFailure>) -> Void

    let request: WebhookRequest
    let deadline: NIODeadline
    let origin: SinkOrigin
    /// The connection that carries it; nil while it waits.
    var connection: (any SinkConnection)?
    private var completion: Completion?

    init(_ request: WebhookRequest, deadline: NIODeadline, origin: SinkOrigin, completion: @escaping Completion) {
        self.request = request
        self.deadline = deadline
        self.origin = origin
        self.completion = completion
    }

    /// Whether nobody waits for it any more.
    package var hasEnded: Bool { completion == nil }

    /// Tells the result, once.
    func finish(_ result: Result<WebhookResponse, WebhookFailure>) {
        guard let completion else { return }
        self.completion = nil
        connection = nil
        completion(result)
    }
}

/// A connection to a sink.
protocol SinkConnection: AnyObject {
    /// Sends the request of an exchange.
    func start(_ exchange: WebhookExchange)
    /// Gives an exchange up, which the caller ends; whatever comes of it is dropped.
    func abandon(_ exchange: WebhookExchange)
    /// Ends at once; what is on its way fails.
    func close(_ failure: WebhookFailure)
    /// Adds the exchanges that are overdue to `list`; returns the earliest deadline of the others.
    func collect(overdue now: NIODeadline, into list: inout [WebhookExchange]) -> NIODeadline
}
