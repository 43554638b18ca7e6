import CloudEvents
import EventFilters
package import JetStream

/// Writes subscriptions as JSON, defaults applied.
public enum SubscriptionWriter {
    /// Appends the members of a subscription, from `"id"` on and without braces, for a client to see.
    ///
    /// Secrets are left out; `"secretSet": true` and `"secretsSet": <count>` say that they are there. What is written can be
    /// sent back in a PUT, except for those.
    public static func appendMembers(of subscription: Subscription, to output: inout [UInt8]) {
        append(subscription, secrets: false, to: &output)
    }

    /// A subscription as one JSON object for a client.
    public static func shown(_ subscription: Subscription) -> [UInt8] {
        var output = [UInt8(ascii: "{")]
        append(subscription, secrets: false, to: &output)
        output.append(UInt8(ascii: "}"))
        return output
    }

    /// A subscription with its state as one JSON object for a client.
    ///
    /// A native one says how to bind: `protocolsettings` with `stream`, `consumer`, `subject`, and with `subjects` if there
    /// is more than one.
    package static func shown(_ record: SubscriptionRecord, stream: StreamName) -> [UInt8] {
        var object = ObjectWriter([UInt8(ascii: "{")])
        append(record.subscription, secrets: false, &object)
        if record.subscription.deliveryProtocol == .nats {
            object.object("protocolsettings") { object in
                object.member("stream", stream.text)
                object.member("consumer", record.key.durableName)
                object.member("subject", record.filterSubjects.first ?? "")
                guard record.filterSubjects.count > 1 else { return }
                object.array("subjects", record.filterSubjects) { JSONWriter.write($0, into: &$1) }
            }
        }
        object.member("state", record.state.name)
        if case .disabled(let reason) = record.state { object.member("reason", reason) }
        object.member("created", record.created.text)
        object.member("updated", record.updated.text)
        return object.output + [UInt8(ascii: "}")]
    }

    /// A subscription with its secrets, to be stored.
    static func stored(_ subscription: Subscription) -> [UInt8] {
        var output = [UInt8(ascii: "{")]
        append(subscription, secrets: true, to: &output)
        output.append(UInt8(ascii: "}"))
        return output
    }

    private static func append(_ subscription: Subscription, secrets: Bool, to output: inout [UInt8]) {
        var object = ObjectWriter(output)
        output = []
        append(subscription, secrets: secrets, &object)
        output = object.output
    }

    private static func append(_ subscription: Subscription, secrets: Bool, _ object: inout ObjectWriter) {
        object.member("id", subscription.id.text)
        if let source = subscription.source { object.member("source", source) }
        if !subscription.types.isEmpty {
            object.array("types", subscription.types) { JSONWriter.write($0.text, into: &$1) }
        }
        if !subscription.filter.isEmpty { object.member("filters", raw: subscription.filter.json) }
        if let sink = subscription.sink { object.member("sink", sink.text) }
        if let credential = subscription.sinkCredential {
            object.object("sinkcredential") { write(credential, secrets: secrets, &$0) }
        }
        object.member("protocol", subscription.deliveryProtocol.rawValue)
        if subscription.deliveryProtocol == .http {
            object.object("protocolsettings") { settings in
                settings.member("method", "POST")
                guard !subscription.settings.headers.isEmpty else { return }
                settings.object("headers") { headers in
                    for header in subscription.settings.headers { headers.member(header.name, header.value) }
                }
            }
        }
        object.object("config") { write(subscription.config, secrets: secrets, &$0) }
    }

    private static func write(_ credential: SinkCredential, secrets: Bool, _ object: inout ObjectWriter) {
        switch credential {
        case .plain(let identifier, let secret):
            object.member("credentialtype", "PLAIN")
            object.member("identifier", identifier)
            if secrets { object.member("secret", secret) }
        case .accessToken(let token, let expires):
            object.member("credentialtype", "ACCESSTOKEN")
            object.member("accesstokentype", "Bearer")
            if let expires { object.member("accesstokenexpiresutc", expires.text) }
            if secrets { object.member("accesstoken", token) }
        case .header(let name, let value):
            object.member("credentialtype", "HEADER")
            object.member("name", name)
            if secrets { object.member("value", value) }
        }
        if !secrets { object.member("secretSet", raw: "true".utf8) }
    }

    private static func write(_ config: SubscriptionConfig, secrets: Bool, _ object: inout ObjectWriter) {
        switch config.startAt {
        case .new: object.member("startAt", "new")
        case .earliest: object.member("startAt", "earliest")
        case .sequence(let sequence): object.member("startAt", raw: String(sequence).utf8)
        case .time(let time): object.member("startAt", time.text)
        }
        object.member("maxInFlight", raw: String(config.maxInFlight).utf8)
        object.member("ackWait", raw: SecondsText.write(config.ackWait).utf8)
        object.member("maxAttempts", raw: String(config.maxAttempts).utf8)
        object.array("backoff", config.backoff) { $1.append(contentsOf: SecondsText.write($0).utf8) }
        object.member("ordered", raw: "false".utf8)
        object.member("contentMode", config.content.rawValue)
        if let batch = config.batch {
            object.object("batch") { object in
                object.member("maxEvents", raw: String(batch.maxEvents).utf8)
                object.member("maxWait", raw: SecondsText.write(batch.maxWait).utf8)
            }
        }
        if let sink = config.deadLetterSink {
            object.object("deadLetter") { $0.member("sink", sink.text) }
        }
        guard !config.signingSecrets.isEmpty else { return }
        object.object("signing") { object in
            if secrets {
                object.array("secrets", config.signingSecrets) { JSONWriter.write($0.text, into: &$1) }
            } else {
                object.member("secretsSet", raw: String(config.signingSecrets.count).utf8)
            }
        }
    }
}

/// Appends the members of a JSON object, with commas where they belong.
struct ObjectWriter {
    private(set) var output: [UInt8]
    private var isFirst = true

    /// Goes on with these bytes, which end where the first member may stand.
    init(_ output: [UInt8]) {
        self.output = output
    }

    private mutating func name(_ name: String) {
        if !isFirst { output.append(UInt8(ascii: ",")) }
        isFirst = false
        JSONWriter.write(name, into: &output)
        output.append(UInt8(ascii: ":"))
    }

    mutating func member(_ name: String, _ text: String) {
        self.name(name)
        JSONWriter.write(text, into: &output)
    }

    mutating func member(_ name: String, raw: some Sequence<UInt8>) {
        self.name(name)
        output.append(contentsOf: raw)
    }

    mutating func array<Element>(_ name: String, _ elements: [Element], _ body: (Element, inout [UInt8]) -> Void) {
        self.name(name)
        output.append(UInt8(ascii: "["))
        for (index, element) in elements.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            body(element, &output)
        }
        output.append(UInt8(ascii: "]"))
    }

    mutating func object(_ name: String, _ body: (inout ObjectWriter) -> Void) {
        self.name(name)
        output.append(UInt8(ascii: "{"))
        var inner = ObjectWriter(output)
        output = []
        body(&inner)
        output = inner.output
        output.append(UInt8(ascii: "}"))
    }
}
