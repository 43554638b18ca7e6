import JetStream
import Testing

/// The table of what is in flight, without a connection.
@Suite struct SlotTableTests {
    private let noResponders = Rejection.Kind.noResponders

    private func makeBatch() -> Batch {
        let item = Batch.Item(
            subject: "ce.test",
            expectedStream: StreamName("EVENTS"),
            headers: MessageHeaders(),
            payload: [],
            tag: 0
        )
        return Batch(owner: .publisher { _ in }, items: [item], cost: 256, deadline: .max)
    }

    /// A table with one message in flight, and that message taken out by its reply.
    private func makeTable() throws -> (SlotTable, SlotTable.Entry) {
        var table = SlotTable(countMax: 10, costMax: 1 << 20)
        let token = table.insert(batch: makeBatch(), index: 0, offset: 0)
        let entry = table.remove(token)
        return (table, try #require(entry))
    }

    @Test func `a message that is to be sent again comes out once, when it is due, with a new token`() throws {
        var (table, entry) = try makeTable()
        #expect(table.insertForRetry(entry, reason: .duplicateInProcess, at: 100) == nil)
        #expect(table.takeRetries(now: 99, offset: 0).isEmpty)
        let due = table.takeRetries(now: 100, offset: 7)
        #expect(due.count == 1)
        #expect(table.takeRetries(now: .max, offset: 7).isEmpty)
        let token = try #require(due.first).token
        let again = table.remove(token)
        #expect(again?.retries == 1)
        #expect(table.isEmpty)
    }

    @Test func `a message that comes back after closing is refused, with what is certain of it`() throws {
        var (table, entry) = try makeTable()
        #expect(table.close().isEmpty)
        let perhapsStored = table.insertForRetry(entry, reason: .duplicateInProcess, at: 100)
        #expect(perhapsStored == .unknown(.duplicateInProcess))
        #expect(table.insertForRetry(entry, reason: .noResponders, at: 100)?.rejection == noResponders)
        #expect(table.isEmpty)
        #expect(table.takeRetries(now: .max, offset: 0).isEmpty)
    }

    @Test func `closing takes out what waits to be sent again`() throws {
        var (table, entry) = try makeTable()
        #expect(table.insertForRetry(entry, reason: .noResponders, at: 100) == nil)
        let left = table.close()
        #expect(left.count == 1)
        let outcome = try #require(left.first).abandonedOutcome(written: 0, reason: .connectionLost)
        #expect(outcome.rejection == noResponders)
        #expect(table.isEmpty)
    }

    @Test func `R-01: only a first copy that the connection refuses is certain not to be stored`() throws {
        var (table, first) = try makeTable()
        #expect(first.refusedOutcome(ofFirstSend: .notSent(.disconnected)) == .notSent(.disconnected))
        func refuseRetry(_ reason: SlotTable.RetryReason) throws -> PublishOutcome {
            #expect(table.insertForRetry(first, reason: reason, at: 0) == nil)
            let due = table.takeRetries(now: 0, offset: 0)
            let again = table.remove(try #require(due.first).token)
            return try #require(again).refusedOutcome(ofFirstSend: .notSent(.disconnected))
        }
        #expect(try refuseRetry(.duplicateInProcess) == .unknown(.duplicateInProcess))
        #expect(try refuseRetry(.noResponders).rejection == noResponders)
    }
}
