import CloudEvents
import EventBus
import EventFilters
import ServerFixtures
import Testing

@Suite struct SubscriptionReaderTests {
    private func read(
        _ json: String,
        _ reader: SubscriptionReader = SubscriptionReader(),
        mustNameItself: Bool = false
    ) throws(InvalidSubscription) -> Subscription {
        guard let id = SubscriptionName("orders"), let tenant = TenantName("acme") else {
            preconditionFailure("both are names")
        }
        return try reader.read(Array(json.utf8)[...], id: id, tenant: tenant, mustNameItself: mustNameItself)
    }

    private func violations(_ json: String, _ reader: SubscriptionReader = SubscriptionReader()) -> [Violation] {
        do throws(InvalidSubscription) {
            _ = try read(json, reader)
            return []
        } catch {
            return error.violations
        }
    }

    private func pointers(_ json: String) -> [String] { violations(json).map(\.pointer) }

    @Test func `the smallest definition has the defaults of the design`() throws {
        let subscription = try read(#"{"protocol":"HTTP","sink":"https://example.com/hook"}"#)
        #expect(subscription.key.description == "acme/orders")
        #expect(subscription.source == nil && subscription.types.isEmpty && subscription.filter.isEmpty)
        let config = subscription.config
        #expect(config.startAt == .new && config.maxInFlight == 64 && config.ackWait == .seconds(30))
        #expect(config.maxAttempts == 5 && config.content == .binary && config.batch == nil)
        #expect(config.backoff == [.seconds(5), .seconds(30), .seconds(120), .seconds(600)])
        #expect(config.signingSecrets.isEmpty && config.deadLetterSink == nil)
    }

    @Test func `every member is taken`() throws {
        let subscription = try read(
            """
            {"id":"ignored","source":"/s","types":["a.b","#.done"],"filters":[{"exact":{"subject":"x"}}],
             "sink":"https://h.example:8443/p?q=1","protocol":"HTTP","unknown":{"x":[1]},"domain":null,
             "sinkcredential":{"credentialtype":"ACCESSTOKEN","accesstoken":"t0ken","accesstokentype":"bearer",
               "accesstokenexpiresutc":"2027-01-01T00:00:00Z"},
             "protocolsettings":{"method":"POST","headers":{"X-A":"1","x-b":"two words"}},
             "config":{"startAt":12,"maxInFlight":1000,"ackWait":1.5,"maxAttempts":100,"backoff":[0,0.25,604800],
               "ordered":false,"contentMode":"structured","batch":{"maxEvents":1000,"maxWait":0.5},
               "deadLetter":{"sink":"https://dead.example/"},
               "signing":{"secrets":["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"]}}}
            """
        )
        #expect(subscription.source == "/s" && subscription.types.map(\.text) == ["a.b", "#.done"])
        #expect(subscription.sink?.host == "h.example" && subscription.sink?.port == 8443)
        #expect(subscription.sink?.target == "/p?q=1" && subscription.sink?.isSecure == true)
        #expect(subscription.sinkCredential?.field.name == "Authorization")
        #expect(subscription.sinkCredential?.field.value == "Bearer t0ken")
        #expect(subscription.settings.headers.map(\.name) == ["X-A", "x-b"])
        let config = subscription.config
        #expect(config.startAt == .sequence(12) && config.maxInFlight == 1000 && config.maxAttempts == 100)
        #expect(config.ackWait == .milliseconds(1500) && config.content == .structured)
        #expect(config.backoff == [.zero, .milliseconds(250), .seconds(604_800)])
        #expect(config.batch == .init(maxEvents: 1000, maxWait: .milliseconds(500)))
        #expect(config.deadLetterSink?.text == "https://dead.example/")
        #expect(config.signingSecrets.map(\.bytes) == [Array("0123456789abcdef01234567".utf8)])
    }

    @Test func `everything wrong is told at once`() {
        let json = """
            {"source":"::","types":["a.>.b","",5],"filters":[{"sql":"true"},{"x":1}],"sink":"ftp://h/",
             "protocol":"HTTP","sinkcredential":{"credentialtype":"REFRESHTOKEN"},
             "protocolsettings":{"method":"PUT","headers":{"ce-id":"1","Content-Type":"x","a b":"c"},"x":1},
             "config":{"maxInFlight":0,"ackWait":0.5,"maxAttempts":101,"backoff":[],"ordered":true,"typo":1,
              "contentMode":"Binary","startAt":"yesterday","signing":{"secrets":["whsec_short"]}}}
            """
        #expect(
            Set(pointers(json)) == [
                "/source", "/types/0", "/types/1", "/types/2", "/filters/0/sql", "/filters/1/x", "/sink",
                "/sinkcredential/credentialtype", "/protocolsettings/method", "/protocolsettings/headers/ce-id",
                "/protocolsettings/headers/Content-Type", "/protocolsettings/headers/a b", "/protocolsettings/x",
                "/config/maxInFlight", "/config/ackWait", "/config/maxAttempts", "/config/backoff",
                "/config/ordered", "/config/typo", "/config/contentMode", "/config/startAt",
                "/config/signing/secrets/0",
            ]
        )
    }

    @Test(arguments: [
        ("", ""), ("[]", ""), ("{", ""), ("{}", "/protocol"), (#"{"protocol":"http"}"#, "/protocol"),
        (#"{"protocol":"KAFKA"}"#, "/protocol"), (#"{"protocol":"HANDLER"}"#, "/protocol"),
        (#"{"protocol":"HTTP"}"#, "/sink"), (#"{"protocol":"PULL","sink":"https://h/"}"#, "/sink"),
        (#"{"protocol":"PULL","protocol":"NATS"}"#, "/protocol"), (#"{"protocol":"PULL","types":[]}"#, "/types"),
        (#"{"protocol":"PULL","types":"a"}"#, "/types"), (#"{"protocol":"PULL","filter":{}}"#, "/filter"),
        (#"{"protocol":"PULL","config":{"batch":{}}}"#, "/config/batch"),
        (#"{"protocol":"PULL","config":[]}"#, "/config"), (#"{"protocol":"PULL","source":""}"#, "/source"),
        (#"{"protocol":"PULL","sinkcredential":{}}"#, "/sinkcredential"),
        (#"{"protocol":"PULL","config":{"batch":{"maxEvents":1001}}}"#, "/config/batch/maxEvents"),
        (#"{"protocol":"PULL","config":{"maxInFlight":1e1}}"#, "/config/maxInFlight"),
        (#"{"protocol":"PULL","config":{"maxInFlight":"5"}}"#, "/config/maxInFlight"),
        (#"{"protocol":"PULL","config":{"ackWait":43200.001}}"#, "/config/ackWait"),
        (#"{"protocol":"PULL","config":{"ackWait":1.0001}}"#, "/config/ackWait"),
        (#"{"protocol":"PULL","config":{"backoff":[-1]}}"#, "/config/backoff/0"),
        (#"{"protocol":"PULL","config":{"startAt":0}}"#, "/config/startAt"),
        (#"{"protocol":"PULL","config":{"startAt":"2999-01-01T00:00:00Z"}}"#, "/config/startAt"),
        (#"{"protocol":"NATS","source":"/s"}"#, "/source"), (##"{"protocol":"NATS","types":["#.a"]}"##, "/types"),
        (#"{"protocol":"NATS","filters":[{"suffix":{"type":".a"}}]}"#, "/filters"),
    ])
    func `one fault, one violation where it is`(json: String, pointer: String) {
        #expect(pointers(json).first == pointer)
    }

    @Test(arguments: [
        "http://h/", "https:///p", "https:h", "//h/p", "/path", "https://u@h/", "https://u:p@h/", "https://h/#f",
        "https://h:0/", "https://h:65536/", "https://h:1x/", "https://%68/", "https://[::1", "https://[v1.a]/",
        "https://h\u{E9}/", "https://h /", "https://h/\r\nX: y", "https://h!/", "gopher://h/", "",
        "https://" + String(repeating: "a", count: 254) + "/", "https://h/" + String(repeating: "a", count: 2048),
    ])
    func `a sink that is no absolute https URI with a host is refused`(sink: String) {
        var text: [UInt8] = []
        JSONWriter.write(sink, into: &text)
        #expect(pointers(#"{"protocol":"HTTP","sink":\#(String(decoding: text, as: UTF8.self))}"#) == ["/sink"])
    }

    @Test func `the rules for sinks are asked, also for dead letters`() throws {
        let rules = SinkRules(allowsHTTP: true) { $0.host == "bad" ? "lives in a bad place" : nil }
        let reader = SubscriptionReader(sinkRules: rules)
        let good = try read(#"{"protocol":"HTTP","sink":"http://[::1]:8080"}"#, reader)
        #expect(good.sink?.host == "::1" && good.sink?.port == 8080 && good.sink?.target == "/")
        let json = #"{"protocol":"HTTP","sink":"http://bad/","config":{"deadLetter":{"sink":"https://bad/"}}}"#
        #expect(violations(json, reader).map(\.pointer) == ["/config/deadLetter/sink", "/sink"])
    }

    @Test(arguments: [
        "Host", "connection", "Transfer-Encoding", "TE", "content-length", "Content-Encoding", "CE-Type", "webhook-id",
        "WebHook-Request-Origin", "Authorization", "traceparent", "", "a:b", "\u{E9}",
    ])
    func `a header that is not for subscriptions to set is refused`(name: String) {
        let json = #"{"protocol":"HTTP","sink":"https://h/","protocolsettings":{"headers":{"\#(name)":"v"}}}"#
        #expect(violations(json).map(\.rule) == ["SUB-18"])
    }

    @Test(arguments: [" v", "v ", "a\\r\\nb", "a\\u0000", "\\u00e9", ""])
    func `a header's value cannot end its line`(value: String) {
        let json = #"{"protocol":"HTTP","sink":"https://h/","protocolsettings":{"headers":{"x":"\#(value)"}}}"#
        #expect(violations(json).map(\.rule) == ["SUB-18"])
    }

    @Test(arguments: [
        (#""credentialtype":"PLAIN","identifier":"a:b","secret":"s3cret"#, "identifier"),
        (#""credentialtype":"PLAIN","identifier":"a","secret":"s3cret\u0007"#, "secret"),
        (#""credentialtype":"ACCESSTOKEN","accesstoken":"s3cret s3cret"#, "accesstoken"),
        (#""credentialtype":"ACCESSTOKEN","accesstokentype":"MAC","accesstoken":"s3cret"#, "accesstokentype"),
        (#""credentialtype":"HEADER","name":"ce-x","value":"s3cret"#, "name"),
        (#""credentialtype":"HEADER","name":"x","value":"s3cret\n"#, "value"),
        (#""credentialtype":"PLAIN","secretSet":true,"identifier":"a"#, "secret"),
    ])
    func `a fault in a credential does not show the secret`(members: String, member: String) {
        let json = #"{"protocol":"HTTP","sink":"https://h/","sinkcredential":{\#(members)"}}"#
        let found = violations(json)
        #expect(found.map(\.pointer) == ["/sinkcredential/\(member)"])
        #expect(!found.description.contains("s3cret"))
    }

    @Test(arguments: [
        #"["whsec_czNjcmV0"]"#, #"["czNjcmV0"]"#, "[]", "[1]", #"["whsec_a","whsec_b","whsec_c"]"#,
        #"["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY!"]"#, #"["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3M="]"#,
    ])
    func `signing secrets must be keys of Standard Webhooks`(secrets: String) {
        let json = #"{"protocol":"HTTP","sink":"https://h/","config":{"signing":{"secrets":\#(secrets)}}}"#
        let found = violations(json)
        #expect(!found.isEmpty && found.allSatisfy { $0.pointer.hasPrefix("/config/signing/secrets") })
        #expect(!found.description.contains("czNjcmV0"))
    }

    @Test func `a header cannot be set beside a credential in it`() {
        let credential = #""sinkcredential":{"credentialtype":"HEADER","name":"X-Key","value":"v"}"#
        let settings = #""protocolsettings":{"headers":{"x-key":"w"}}"#
        let json = #"{"protocol":"HTTP","sink":"https://h/",\#(credential),\#(settings)}"#
        #expect(pointers(json) == ["/protocolsettings/headers/x-key"])
    }

    @Test func `an id in the text is ignored, or must be the name`() throws {
        #expect(try read(#"{"id":"other","protocol":"PULL"}"#).id.text == "orders")
        #expect(try read(#"{"id":"orders","protocol":"PULL"}"#, mustNameItself: true).id.text == "orders")
        #expect(throws: InvalidSubscription.self) {
            try read(#"{"id":"other","protocol":"PULL"}"#, mustNameItself: true)
        }
    }

    @Test(arguments: ["", "-a", "_a", "a.b", "a b", "\u{E9}", "a/b", "a*", String(repeating: "a", count: 64)])
    func `what is no name of a subscription is none`(text: String) {
        #expect(SubscriptionName(text) == nil)
    }

    @Test func `a consumer's name tells tenant and subscription`() throws {
        let id = try #require(SubscriptionName("a_b_c"))
        let key = SubscriptionKey(tenant: try #require(TenantName("t-1")), id: id)
        #expect(key.durableName == "t-1_a_b_c")
        #expect(SubscriptionKey(durableName: key.durableName) == key)
        #expect(SubscriptionKey(durableName: "nounderscore") == nil)
        #expect(Set((0..<100).map { _ in SubscriptionName.random() }).count == 100)
        #expect(SubscriptionName(SubscriptionName.random().text) != nil)
    }
}
