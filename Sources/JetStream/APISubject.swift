/// A subject of JetStream's API: made from checked names only.
struct APISubject: Sendable {
    let text: String

    private init(_ text: String) { self.text = text }

    static let accountInfo = APISubject("$JS.API.INFO")
    static func streamInfo(_ name: StreamName) -> APISubject { APISubject("$JS.API.STREAM.INFO.\(name.text)") }
    static func createStream(_ name: StreamName) -> APISubject { APISubject("$JS.API.STREAM.CREATE.\(name.text)") }
    static func updateStream(_ name: StreamName) -> APISubject { APISubject("$JS.API.STREAM.UPDATE.\(name.text)") }
    static func message(in name: StreamName) -> APISubject { APISubject("$JS.API.STREAM.MSG.GET.\(name.text)") }
    static func deleteMessage(in name: StreamName) -> APISubject {
        APISubject("$JS.API.STREAM.MSG.DELETE.\(name.text)")
    }
    static func purge(_ name: StreamName) -> APISubject { APISubject("$JS.API.STREAM.PURGE.\(name.text)") }
    static func createDurable(_ consumer: ConsumerName, _ stream: StreamName) -> APISubject {
        APISubject("$JS.API.CONSUMER.DURABLE.CREATE.\(stream.text).\(consumer.text)")
    }
    static func createConsumer(_ consumer: ConsumerName, _ stream: StreamName) -> APISubject {
        APISubject("$JS.API.CONSUMER.CREATE.\(stream.text).\(consumer.text)")
    }
    static func createEphemeral(_ stream: StreamName) -> APISubject {
        APISubject("$JS.API.CONSUMER.CREATE.\(stream.text)")
    }
    static func consumerInfo(_ consumer: ConsumerName, _ stream: StreamName) -> APISubject {
        APISubject("$JS.API.CONSUMER.INFO.\(stream.text).\(consumer.text)")
    }
    static func deleteConsumer(_ consumer: ConsumerName, _ stream: StreamName) -> APISubject {
        APISubject("$JS.API.CONSUMER.DELETE.\(stream.text).\(consumer.text)")
    }
    static func consumerNames(_ stream: StreamName) -> APISubject {
        APISubject("$JS.API.CONSUMER.NAMES.\(stream.text)")
    }
    static func nextMessages(_ consumer: ConsumerName, _ stream: StreamName) -> APISubject {
        APISubject("$JS.API.CONSUMER.MSG.NEXT.\(stream.text).\(consumer.text)")
    }
}
