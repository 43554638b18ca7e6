extension ClientCore {
    /// Ends a pull of which the server has said nothing in its time.
    ///
    /// nats-server 2.9.10 neither ends pulls (N-04) nor refuses those of a consumer that does not exist: one that brought
    /// nothing is told apart by asking for the consumer.
    func endSilentPull(_ end: PullTable.End) {
        guard end.delivered == 0 else { return end.mailbox.append(.pullEnded(end.tag, .expired)) }
        let item = Batch.Item(
            subject: APISubject.consumerInfo(end.pull.consumer, end.pull.stream).text,
            expectedStream: nil,
            headers: MessageHeaders(),
            payload: [],
            tag: 0,
            isQuestion: true
        )
        let owner = Batch.Owner.requester { result in
            end.mailbox.append(.pullEnded(end.tag, Self.isGone(result) ? .consumerGone : .expired))
        }
        let deadline = monotonicNow() + Self.consumerQuestionTimeout
        enqueue(Batch(owner: owner, items: [item], cost: item.cost, deadline: deadline))
    }

    private static let consumerQuestionTimeout: Nanoseconds = 2_000_000_000

    /// Whether the server has answered that there is no such consumer, or no such stream.
    private static func isGone(_ result: Result<[UInt8], JetStreamError>) -> Bool {
        guard case .success(let answer) = result else { return false }
        do throws(JetStreamError) {
            _ = try APIResponse.success(answer)
            return false
        } catch {
            return error.errorCode == 10014 || error.errorCode == 10059
        }
    }
}
