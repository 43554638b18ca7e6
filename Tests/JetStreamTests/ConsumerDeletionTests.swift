import JetStream
import ServerFixtures
import Testing

/// A server that says "general stream failure" (10051) to who deletes a consumer, as nats-server 2.9 may when another one
/// deletes it at the same moment.
@Suite struct ConsumerDeletionTests {
    /// What one case is: the answers to the requests in their order, and what comes of it.
    struct Script: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let answers: [Answer]
        let outcome: Result<Bool, JetStreamError>
    }

    enum Answer: Sendable {
        case failed, refused, deleted, missing, there, silent

        var text: String {
            switch self {
            case .failed: Self.error(500, 10051, "remove obs: directory not empty")
            case .refused: Self.error(500, 10008, "JetStream system temporarily unavailable")
            case .missing: Self.error(404, 10014, "consumer not found")
            case .deleted: #"{"success":true}"#
            case .there: #"{"name":"c","config":{"durable_name":"c","ack_policy":"explicit"}}"#
            case .silent: ""
            }
        }

        private static func error(_ code: Int, _ number: Int, _ words: String) -> String {
            #"{"error":{"code":\#(code),"err_code":\#(number),"description":"\#(words)"}}"#
        }
    }

    private static let failure = JetStreamError.api(
        code: 500,
        errorCode: 10051,
        description: "remove obs: directory not empty"
    )
    private static let refusal = JetStreamError.api(
        code: 500,
        errorCode: 10008,
        description: "JetStream system temporarily unavailable"
    )

    static let scripts = [
        Script(testDescription: "gone afterwards", answers: [.failed, .missing], outcome: .success(true)),
        Script(
            testDescription: "still there, deleted by the second try",
            answers: [.failed, .there, .deleted],
            outcome: .success(true)
        ),
        Script(
            testDescription: "still there, gone at the second try",
            answers: [.failed, .there, .missing],
            outcome: .success(false)
        ),
        Script(
            testDescription: "still there, gone after the second try",
            answers: [.failed, .there, .failed, .missing],
            outcome: .success(true)
        ),
        Script(
            testDescription: "it stays",
            answers: [.failed, .there, .failed, .there],
            outcome: .failure(failure)
        ),
        Script(
            testDescription: "nobody knows whether it is there",
            answers: [.failed, .silent],
            outcome: .failure(.timeout)
        ),
        Script(testDescription: "another error", answers: [.refused], outcome: .failure(refusal)),
    ]

    @Test(arguments: scripts)
    func `error 10051 to a deletion is no failure where the consumer is gone`(script: Script) async throws {
        let subjects = Shared<[String]>([])
        let server = try RawServer { request in
            subjects.withLock { $0.append(request.subject) }
            guard request.number < script.answers.count else { return "" }
            let answer = script.answers[request.number]
            return answer.text.isEmpty ? "" : request.message(to: request.replySubject, answer.text)
        }
        try await withClient(server.url) { test in
            let name = try #require(ConsumerName("c"))
            let stream = try #require(StreamName("EVENTS"))
            let outcome: Result<Bool, JetStreamError>
            do throws(JetStreamError) {
                outcome = .success(try await test.client.deleteConsumer(name, in: stream, timeout: .seconds(2)))
            } catch {
                outcome = .failure(error)
            }
            #expect(outcome == script.outcome)
            let expected = script.answers.enumerated().map { index, _ in
                "$JS.API.CONSUMER.\(index.isMultiple(of: 2) ? "DELETE" : "INFO").EVENTS.c"
            }
            #expect(subjects.current == expected)
        }
    }
}
