import ServerFixtures
import Testing

extension EndToEnd {
    /// A client that nobody here wrote: the CloudEvents SDK for Python.
    @Suite(.serialized, .sharedStacks) struct PythonClientTests {
        @Test(arguments: NATSServer.available)
        func `what the Python SDK publishes, binary and structured, is what arrives in the stream`(
            binary: NATSServer.Binary
        ) throws {
            let stack = try StackPool.stack(binary)
            let url = "http://127.0.0.1:\(stack.gateway.port)/v1/events"
            let lines = try PythonProgram.run(
                "\(Corpus.folder)/publish_with_sdk.py",
                arguments: [url, uniqueID("run")]
            )
            #expect(lines.count == 12)
            for line in lines {
                let json = try WireJSON(parsing: Array(line.utf8))
                let name = json["name"].string ?? ""
                #expect(json["status"].int == 202, "\(line)")
                let sequence = try #require(json["answer"]["sequence"].int, "\(name)")
                let message = try #require(try stack.reader().message(sequence), "\(name)")
                let differences = try message.event().differences(from: CorpusEvent(json))
                #expect(differences == [], "\(name)")
                if name.hasSuffix("sdk.attributes") { #expect(message.subject.hasPrefix("ce.default.high.")) }
            }
        }
    }
}
