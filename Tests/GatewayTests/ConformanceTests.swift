import ServerFixtures
import Testing

extension EndToEnd {
    /// Every case of the conformance corpus over HTTP; what is accepted is read back from the stream and compared.
    @Suite(.serialized, .sharedStacks) struct ConformanceTests {
        @Test func `the corpus is complete`() {
            #expect(Corpus.cases.count == 388)
            #expect(Corpus.cases.filter { $0.expect == .accept }.count == 144)
        }

        @Test(arguments: NATSServer.available, Corpus.cases)
        func `a request of the corpus has the effect it is labelled with`(
            binary: NATSServer.Binary,
            item: CorpusCase
        ) throws {
            let stack = try StackPool.stack(binary)
            let reader = try stack.reader()
            let before = try reader.lastSequence()
            let response = try stack.exchange(item.request())
            let note: Comment = "\(item.why): \(response.status) \(response.text)"
            switch item.expect {
            case .accept:
                #expect((200..<300).contains(response.status), note)
                try expectStored(item, response, reader, note)
            case .reject:
                #expect(item.statuses.contains(response.status), note)
                #expect(try reader.lastSequence() == before, note)
            case .either where (200..<300).contains(response.status):
                try expectStored(item, response, reader, note)
            case .either:
                #expect((400..<500).contains(response.status), note)
                #expect(try reader.lastSequence() == before, note)
            }
        }

        private func expectStored(
            _ item: CorpusCase,
            _ response: HTTPResponse,
            _ reader: StreamReader,
            _ note: Comment
        ) throws {
            let answers = item.mode == "batch" ? response.json["results"].items : [response.json]
            guard answers.count == item.events.count else {
                Issue.record("\(answers.count) answers for \(item.events.count) events. \(note)")
                return
            }
            for (answer, expected) in zip(answers, item.events) {
                let sequence = try #require(answer["sequence"].int, note)
                let message = try #require(try reader.message(sequence), note)
                #expect(message["Content-Type"] == "application/cloudevents+json")
                let stored = try message.event()
                #expect(stored.differences(from: expected) == [], note)
                #expect(answer["id"].string == stored.attributes["id"], note)
            }
        }
    }
}
