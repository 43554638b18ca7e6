import CloudEvents
import EventBus
import EventFilters
import JetStream
import Testing

@Suite struct SubscriptionWriterTests {
    private static let definitions = [
        #"{"protocol":"PULL"}"#, #"{"protocol":"NATS","types":["a.*"],"config":{"startAt":"earliest"}}"#,
        #"{"protocol":"PULL","source":"/s","types":["a","b.#"],"config":{"startAt":"2026-01-02T03:04:05Z","ackWait":1.25}}"#,
        #"{"protocol":"HTTP","sink":"https://h/","filters":[{"not":{"prefix":{"subject":"\u00e9\"\\"}}}]}"#,
        #"{"protocol":"HTTP","sink":"https://h/","config":{"batch":{"maxEvents":3},"deadLetter":{"sink":"https://d/"}}}"#,
    ]
    private static let secrets = [
        #"{"credentialtype":"PLAIN","identifier":"me","secret":"s3cret"}"#,
        #"{"credentialtype":"ACCESSTOKEN","accesstoken":"s3cret","accesstokenexpiresutc":"2027-01-01T00:00:00Z"}"#,
        #"{"credentialtype":"HEADER","name":"X-Key","value":"s3cret"}"#,
    ]

    private func read(_ json: some Sequence<UInt8>) throws -> Subscription {
        let id = try #require(SubscriptionName("s"))
        return try SubscriptionReader().read(Array(json)[...], id: id, tenant: .default)
    }

    private func secret(_ credential: String) throws -> Subscription {
        let signing = #"{"secrets":["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"]}"#
        let head = #"{"protocol":"HTTP","sink":"https://h/","config":{"signing":\#(signing)},"sinkcredential":"#
        return try read((head + credential + "}").utf8)
    }

    @Test(arguments: definitions)
    func `what is shown can be sent back`(json: String) throws {
        let subscription = try read(json.utf8)
        #expect(try read(SubscriptionWriter.shown(subscription)) == subscription)
    }

    @Test(arguments: secrets)
    func `secrets are never shown, and said to be there`(credential: String) throws {
        let subscription = try secret(credential)
        let text = String(decoding: SubscriptionWriter.shown(subscription), as: UTF8.self)
        #expect(!text.contains("s3cret") && !text.contains("whsec_") && !text.contains("MDEy"))
        #expect(text.contains(#""secretSet":true"#) && text.contains(#""signing":{"secretsSet":1}"#))
        let error = #expect(throws: InvalidSubscription.self) { try read(text.utf8) }
        #expect(error?.description.contains("write-only") == true)
    }

    @Test func `defaults are shown`() throws {
        let text = String(decoding: SubscriptionWriter.shown(try read(#"{"protocol":"PULL"}"#.utf8)), as: UTF8.self)
        #expect(
            text == #"{"id":"s","protocol":"PULL","config":{"startAt":"new","maxInFlight":64,"ackWait":30,"#
                + #""maxAttempts":5,"backoff":[5,30,120,600],"ordered":false,"contentMode":"binary"}}"#
        )
    }

    @Test func `a record is shown with its state, and how to bind to it`() throws {
        let record = SubscriptionRecord(
            subscription: try read(#"{"protocol":"NATS","types":["a","b"]}"#.utf8),
            state: .disabled(reason: "gone"),
            consent: SinkConsent(.notNeeded),
            created: try #require(Timestamp("2026-01-02T03:04:05Z")),
            updated: try #require(Timestamp("2026-01-02T03:04:06Z")),
            start: 1,
            cursor: 1,
            filterSubjects: ["ce.default.*.a", "ce.default.*.b"]
        )
        let shown = SubscriptionWriter.shown(record, stream: try #require(StreamName("EVENTS")))
        let text = String(decoding: shown, as: UTF8.self)
        #expect(
            text.hasSuffix(
                #","protocolsettings":{"stream":"EVENTS","consumer":"default_s","subject":"ce.default.*.a","#
                    + #""subjects":["ce.default.*.a","ce.default.*.b"]},"state":"disabled","reason":"gone","#
                    + #""created":"2026-01-02T03:04:05Z","updated":"2026-01-02T03:04:06Z"}"#
            )
        )
        #expect(try read(shown) == record.subscription)
    }

    @Test func `records are read as they were written, with their secrets`() throws {
        let states: [SubscriptionState] = [.active, .awaitingConsent, .paused, .disabled(reason: "410 \"gone\"")]
        var subscriptions = try Self.definitions.map { try read($0.utf8) }
        subscriptions += try Self.secrets.map { try secret($0) }
        subscriptions.append(Subscription(types: [try TypePattern("a")], deliveryProtocol: .handler))
        for (index, subscription) in subscriptions.enumerated() {
            let consent = SinkConsent(
                .granted,
                origin: "gw.example",
                ratePerMinute: 60,
                callbackDigest: "00ff",
                callbackExpiry: .now()
            )
            let record = SubscriptionRecord(
                subscription: subscription,
                state: states[index % states.count],
                consent: index % 2 == 0 ? consent : SinkConsent(.notNeeded),
                created: .now(),
                updated: .now(),
                start: 7,
                cursor: UInt64.max,
                filterSubjects: ["ce.default.*.a"],
                revision: 9
            )
            #expect(SubscriptionRecord(json: record.json, key: record.key, revision: 9) == record)
            #expect(SubscriptionRecord(json: Array(record.json.dropLast()), key: record.key, revision: 9) == nil)
        }
    }

    @Test func `a record of another version is not taken for ours`() {
        let key = SubscriptionKey(tenant: .default, id: .random())
        #expect(SubscriptionRecord(json: Array(#"{"version":2}"#.utf8), key: key, revision: 1) == nil)
        #expect(SubscriptionRecord(json: Array("[]".utf8), key: key, revision: 1) == nil)
    }

    @Test func `matching decides by source, types and filters`() throws {
        let json = #"{"protocol":"PULL","source":"/s","types":["a.*"],"filters":[{"exact":{"subject":"x"}}]}"#
        let subscription = try read(json.utf8)
        func event(_ source: String, _ type: String, _ subject: String) throws -> CloudEvent {
            try CloudEvent(id: "1", source: source, type: type, subject: subject)
        }
        #expect(try subscription.matches(event("/s", "a.b", "x")))
        #expect(try !subscription.matches(event("/t", "a.b", "x")))
        #expect(try !subscription.matches(event("/s", "b.b", "x")))
        #expect(try !subscription.matches(event("/s", "a.b", "y")))
    }
}
