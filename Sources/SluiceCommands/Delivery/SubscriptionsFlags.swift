import ArgumentParser
import NIOHTTP1

/// The flags that define a subscription, or the file that does.
struct SubscriptionFlags: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A file with the whole definition as JSON; - is standard input.", valueName: "file"),
        completion: .file()
    )
    var file: String?

    @Option(
        name: .customLong("type"),
        help: ArgumentHelp(
            "A type of events, or a pattern: * is one segment, # any number, > all that follow; may be repeated.",
            valueName: "type"
        )
    )
    var types: [String] = []
    @Option(help: ArgumentHelp("Only events of this source.", valueName: "uri"))
    var source: String?
    @Option(
        name: .customLong("filter"),
        help: ArgumentHelp(
            "A filter as JSON, like {\"prefix\":{\"subject\":\"a-\"}}; may be repeated, all must match.",
            valueName: "json"
        )
    )
    var filters: [String] = []
    @Option(help: ArgumentHelp("The webhook that gets the events (protocol HTTP).", valueName: "url"))
    var sink: String?
    @Flag(help: "Clients fetch the events: protocol PULL.")
    var pull = false
    @Option(name: .customLong("protocol"), help: "How events are delivered: HTTP, PULL or NATS.")
    var deliveryProtocol: String?
    @Option(
        name: .customLong("header"),
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("A header of every request to the sink; may be repeated.", valueName: "name=value")
    )
    var headers: [String] = []
    @Option(help: ArgumentHelp("A file with a token that the sink asks for.", valueName: "file"), completion: .file())
    var bearerTokenFile: String?
    @Option(
        help: ArgumentHelp("A file with one or two secrets (whsec_…) to sign with, one a line.", valueName: "file"),
        completion: .file()
    )
    var signingSecretFile: String?
    @Option(help: ArgumentHelp("Most events that are being delivered at a time, per replica.", valueName: "count"))
    var maxInFlight: Int?
    @Option(help: ArgumentHelp("How long a delivery or a lock may take.", valueName: "seconds"))
    var ackWait: String?
    @Option(help: ArgumentHelp("Attempts before an event is a dead letter.", valueName: "count"))
    var maxAttempts: Int?
    @Option(help: ArgumentHelp("Pauses between attempts, like 5,30,120; the last repeats.", valueName: "seconds,…"))
    var backoff: String?
    @Option(help: ArgumentHelp("Where to begin: new, earliest, a sequence or a time.", valueName: "start"))
    var startAt: String?
    @Option(help: ArgumentHelp("How webhooks get events: binary or structured.", valueName: "mode"))
    var contentMode: String?
    @Option(help: ArgumentHelp("Send webhooks batches of so many events.", valueName: "count"))
    var batchEvents: Int?
    @Option(help: ArgumentHelp("How long a batch waits to fill.", valueName: "seconds"))
    var batchWait: String?
    @Option(help: ArgumentHelp("A webhook that gets the dead letters too.", valueName: "url"))
    var deadLetterSink: String?

    /// The first flag of a definition that was given.
    private var firstGiven: String? {
        let given: [(String, Bool)] = [
            ("type", !types.isEmpty), ("source", source != nil), ("filter", !filters.isEmpty), ("sink", sink != nil),
            ("pull", pull), ("protocol", deliveryProtocol != nil), ("header", !headers.isEmpty),
            ("bearer-token-file", bearerTokenFile != nil), ("signing-secret-file", signingSecretFile != nil),
            ("max-in-flight", maxInFlight != nil), ("ack-wait", ackWait != nil), ("max-attempts", maxAttempts != nil),
            ("backoff", backoff != nil), ("start-at", startAt != nil), ("content-mode", contentMode != nil),
            ("batch-events", batchEvents != nil), ("batch-wait", batchWait != nil),
            ("dead-letter-sink", deadLetterSink != nil),
        ]
        return given.first { $0.1 }?.0
    }

    func validate() throws {
        if file != nil {
            guard let flag = firstGiven else { return }
            throw ValidationError("--\(flag) defines a subscription, but the file does: give one or the other")
        }
        guard firstGiven != nil else {
            throw ValidationError("nothing to subscribe to: give --type … and --sink … or --pull, or a --file")
        }
        if pull, sink != nil || deliveryProtocol != nil {
            throw ValidationError("--pull: give it without --sink and --protocol")
        }
        if !pull, sink == nil, deliveryProtocol == nil {
            throw ValidationError("how shall events be delivered? Give --sink <url>, --pull or --protocol NATS")
        }
        if batchWait != nil, batchEvents == nil { throw ValidationError("--batch-wait: give --batch-events too") }
        for text in headers { _ = try Self.split(text) }
        for text in filters { _ = try Self.filters(text) }
        for (name, text) in [("ack-wait", ackWait), ("batch-wait", batchWait)] {
            if let text { _ = try Self.number(text, of: name) }
        }
        if let backoff { _ = try Self.steps(backoff) }
    }

    /// The definition.
    ///
    /// - Throws: ``CommandFailure`` when a file cannot be read or is not JSON.
    func draft() throws -> SubscriptionDraft {
        if let file { return try SubscriptionDraft(file: file) }
        return SubscriptionDraft(id: nil, body: Array(try definition().utf8))
    }

    private func definition() throws -> String {
        var object = JSONWriter()
        if !types.isEmpty { object.add("types", json: Self.array(types.map(Self.quoted))) }
        if let source { object.add("source", source) }
        if !filters.isEmpty { object.add("filters", json: Self.array(try filters.flatMap(Self.filters))) }
        if let sink { object.add("sink", sink) }
        if let bearerTokenFile { object.add("sinkcredential", json: try Self.credential(bearerTokenFile)) }
        object.add("protocol", deliveryProtocol ?? (pull ? "PULL" : "HTTP"))
        if !headers.isEmpty {
            var fields = JSONWriter()
            for text in headers {
                let (name, value) = try Self.split(text)
                fields.add(name, value)
            }
            var settings = JSONWriter()
            settings.add("headers", json: fields.text)
            object.add("protocolsettings", json: settings.text)
        }
        let config = try config()
        if config != "{}" { object.add("config", json: config) }
        return object.text
    }

    private func config() throws -> String {
        var config = JSONWriter()
        if let startAt {
            let isSequence = !startAt.isEmpty && startAt.utf8.allSatisfy { (0x30...0x39).contains($0) }
            config.add("startAt", json: isSequence ? try Self.number(startAt, of: "start-at") : Self.quoted(startAt))
        }
        if let maxInFlight { config.add("maxInFlight", maxInFlight) }
        if let ackWait { config.add("ackWait", json: try Self.number(ackWait, of: "ack-wait")) }
        if let maxAttempts { config.add("maxAttempts", maxAttempts) }
        if let backoff { config.add("backoff", json: Self.array(try Self.steps(backoff))) }
        if let contentMode { config.add("contentMode", contentMode) }
        if let batchEvents {
            var batch = JSONWriter()
            batch.add("maxEvents", batchEvents)
            if let batchWait { batch.add("maxWait", json: try Self.number(batchWait, of: "batch-wait")) }
            config.add("batch", json: batch.text)
        }
        if let deadLetterSink {
            var letters = JSONWriter()
            letters.add("sink", deadLetterSink)
            config.add("deadLetter", json: letters.text)
        }
        if let signingSecretFile {
            let secrets = try SubscriptionDraft.secrets(signingSecretFile)
            var signing = JSONWriter()
            signing.add("secrets", json: Self.array(secrets.map(Self.quoted)))
            config.add("signing", json: signing.text)
        }
        return config.text
    }
}

// MARK: Reading values

extension SubscriptionFlags {
    private static func array(_ elements: [String]) -> String { "[\(elements.joined(separator: ","))]" }

    private static func quoted(_ text: String) -> String {
        var bytes = [UInt8(ascii: "\"")]
        SafeText.append(text, to: &bytes, style: .json, limit: .max)
        return String(decoding: bytes, as: UTF8.self) + "\""
    }

    private static func credential(_ file: String) throws -> String {
        guard let token = try SubscriptionDraft.secrets(file).first else {
            throw CommandFailure("\(SafeText.escaped(file)): there is no token in it", code: ExitStatus.noInput)
        }
        var credential = JSONWriter()
        credential.add("credentialtype", "ACCESSTOKEN")
        credential.add("accesstoken", token)
        return credential.text
    }

    private static func split(_ text: String) throws -> (name: String, value: String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else {
            throw ValidationError("--header: \(SafeText.quoted(text)) is not name=value")
        }
        return (String(parts[0]), String(parts[1]))
    }

    /// A filter, or an array of them, as JSON texts.
    private static func filters(_ text: String) throws -> [String] {
        do throws(JSONTextError) {
            switch try JSONText(parsing: text.utf8) {
            case .object: return [text]
            case .array:
                let elements = (try? JSONSlice(parsing: text.utf8))?.elements ?? []
                return elements.map { String(decoding: $0.bytes, as: UTF8.self) }
            default: throw JSONTextError(reason: "a filter is a JSON object", offset: 0, line: 1, column: 1)
            }
        } catch {
            throw ValidationError("--filter: \(SafeText.quoted(text)): \(error.reason) (column \(error.column))")
        }
    }

    private static func number(_ text: String, of flag: String) throws -> String {
        guard case .number(let number)? = try? JSONText(parsing: text.utf8) else {
            throw ValidationError("--\(flag): \(SafeText.quoted(text)) is not a number")
        }
        return number
    }

    private static func steps(_ text: String) throws -> [String] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map { try number(String($0), of: "backoff") }
    }
}

/// A definition that is ready to be sent.
package struct SubscriptionDraft: Sendable {
    /// The id that it names.
    package let id: String?
    /// The JSON text.
    package let body: [UInt8]

    init(id: String?, body: [UInt8]) {
        self.id = id
        self.body = body
    }

    /// What the flags of `create` and `replace` define.
    ///
    /// - Throws: The parser's error, or ``CommandFailure``.
    package init(words: [String]) throws {
        self = try SubscriptionFlags.parse(words).draft()
    }

    /// Reads a file; `-` is standard input.
    init(file: String) throws(CommandFailure) {
        body = try Self.content(file)
        do throws(JSONTextError) {
            guard case .object = try JSONText(parsing: body) else {
                throw JSONTextError(reason: "a subscription is a JSON object", offset: 0, line: 1, column: 1)
            }
        } catch {
            throw CommandFailure("\(SafeText.escaped(file)): \(error.description)", code: ExitStatus.refused)
        }
        id = (try? JSONSlice(parsing: body))?["id"]?.string
    }

    /// The lines of a file that holds secrets.
    static func secrets(_ file: String) throws(CommandFailure) -> [String] {
        let lines = try content(file).split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
        return lines.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func content(_ file: String) throws(CommandFailure) -> [UInt8] {
        switch FileContent.read(file, limit: 1 << 20) {
        case .success(let bytes): return bytes
        case .failure(let error):
            throw CommandFailure("\(SafeText.escaped(file)) cannot be read: \(error.reason)", code: ExitStatus.noInput)
        }
    }
}
