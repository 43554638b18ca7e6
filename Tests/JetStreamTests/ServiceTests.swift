import JetStream
import ServerFixtures
import Testing

/// Questions and answers between replicas.
@Suite(.serialized) struct ServiceTests {
    private func subject(_ tokens: String...) throws -> ServiceSubject {
        ServiceSubject(prefix: try #require(SubjectPrefix("sluice.locks")), tokens: tokens)
    }

    @Test(arguments: NATSServer.available)
    func `a service answers, survives lost connections, and ends`(binary: NATSServer.Binary) async throws {
        try await withStream(binary, through: true) { server, proxy, serving in
            try await withClient(server.url) { asking in
                let subject = try subject("replica 1")
                await #expect(throws: JetStreamError.noResponders) { try await asking.client.ask(subject, []) }
                let service = serving.client.serve(subject) { question, answer in answer(question.reversed()) }
                func answered() async -> Bool {
                    let end = ContinuousClock.now + .seconds(20)
                    while ContinuousClock.now < end {
                        if (try? await asking.client.ask(subject, [1, 2, 3], timeout: .seconds(2))) == [3, 2, 1] {
                            return true
                        }
                        await letPass(.milliseconds(20))
                    }
                    return false
                }
                #expect(await answered())
                proxy.cut()
                _ = await eventually { !serving.client.state.isConnected }
                #expect(await serving.connected())
                #expect(await answered())
                let answers = try await withThrowingTaskGroup { group in
                    for number in 0..<200 {
                        group.addTask { try await asking.client.ask(subject, [UInt8(number), 0]) }
                    }
                    return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
                }
                #expect(answers.count == 200)
                service.stop()
                #expect(
                    await eventuallyTrue {
                        do {
                            _ = try await asking.client.ask(subject, [], timeout: .seconds(1))
                            return false
                        } catch {
                            return error as? JetStreamError == .noResponders
                        }
                    }
                )
            }
        }
    }

    private func eventuallyTrue(_ condition: () async -> Bool) async -> Bool {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            if await condition() { return true }
            await letPass(.milliseconds(20))
        }
        return false
    }
}
