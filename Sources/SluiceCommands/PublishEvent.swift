import ArgumentParser
import CloudEvents
import NIOHTTP1

/// The flags that describe one event; it is sent in the binary mode of the CloudEvents HTTP binding.
struct EventOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The event's type, like com.example.order.created.", valueName: "type"))
    var type: String?
    @Option(help: ArgumentHelp("Where it happened: a URI reference, like /orders.", valueName: "uri"))
    var source: String?
    @Option(
        help: ArgumentHelp("Its id; the same source and id are stored once (default: a new UUID).", valueName: "id")
    )
    var id: String?
    @Option(help: ArgumentHelp("What it is about.", valueName: "subject"))
    var subject: String?
    @Option(help: ArgumentHelp("When it happened (RFC 3339), or none (default: now).", valueName: "time"))
    var time: String?
    @Option(parsing: .unconditional, help: ArgumentHelp("Its data, as text.", valueName: "text"))
    var data: String?
    @Option(help: ArgumentHelp("A file with its data; - is standard input.", valueName: "file"), completion: .file())
    var dataFile: String?
    @Option(help: ArgumentHelp("The data's media type (default: application/json).", valueName: "type"))
    var contentType: String?
    @Option(help: ArgumentHelp("A URI of the data's schema.", valueName: "uri"))
    var dataSchema: String?
    @Option(
        name: .customLong("extension"),
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("An extension attribute; may be repeated.", valueName: "name=value")
    )
    var extensions: [String] = []

    /// The name of the first flag that was given.
    var firstGiven: String? {
        let texts: [(String, String?)] = [
            ("type", type), ("source", source), ("id", id), ("subject", subject), ("time", time), ("data", data),
            ("data-file", dataFile), ("content-type", contentType), ("data-schema", dataSchema),
            ("extension", extensions.first),
        ]
        return texts.first { $0.1 != nil }?.0
    }

    func validateComplete() throws {
        guard firstGiven != nil else {
            throw ValidationError(
                "nothing to publish: describe an event (--type … --source … --data …) or name a file of events, - for "
                    + "standard input"
            )
        }
        var missing: [String] = []
        if type == nil { missing.append("--type (what happened, like com.example.order.created)") }
        if source == nil { missing.append("--source (where it happened, a URI reference like /orders)") }
        guard missing.isEmpty else { throw ValidationError("an event needs " + missing.joined(separator: " and ")) }
        if data != nil, dataFile != nil { throw ValidationError("give --data or --data-file, not both") }
        for text in extensions { _ = try Self.split(text) }
    }

    private static func split(_ text: String) throws -> (name: String, value: String) {
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let isName = parts[0].utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
        guard parts.count == 2, isName, !parts[0].isEmpty else {
            throw ValidationError(
                "--extension: \(SafeText.quoted(text)) is not name=value with a name of lower-case letters and digits"
            )
        }
        return (String(parts[0]), String(parts[1]))
    }

    /// The request that publishes the event.
    ///
    /// - Throws: ``CommandFailure`` when the data cannot be read or is not what its media type says.
    func call() throws -> HTTPCall {
        let body = try body()
        var fields: [(name: String, value: String)] = [("ce-specversion", "1.0")]
        let attributes: [(String, String?)] = [
            ("id", id ?? EventID.random()), ("source", source), ("type", type), ("subject", subject),
            ("time", time == "none" ? nil : time ?? LogTime.now.text), ("dataschema", dataSchema),
        ]
        for (name, value) in attributes {
            if let value { fields.append(("ce-\(name)", HeaderValueCoding.encode(value))) }
        }
        for text in extensions {
            let (name, value) = try Self.split(text)
            fields.append(("ce-\(name)", HeaderValueCoding.encode(value)))
        }
        if let body {
            let type = contentType ?? "application/json"
            if contentType == nil, (try? JSONText(parsing: body)) == nil {
                throw CommandFailure(
                    "the data is not JSON; quote it as JSON, or say what it is: --content-type text/plain",
                    code: ExitStatus.refused
                )
            }
            fields.append(("content-type", type))
        } else if let contentType {
            fields.append(("content-type", contentType))
        }
        return HTTPCall(method: .POST, path: "/v1/events", fields: fields, body: body ?? [])
    }

    private func body() throws -> [UInt8]? {
        if let data { return Array(data.utf8) }
        guard let dataFile else { return nil }
        switch FileContent.read(dataFile, limit: 256 << 20) {
        case .success(let bytes): return bytes
        case .failure(let error):
            throw CommandFailure(
                "\(SafeText.escaped(dataFile)) cannot be read: \(error.reason)",
                code: ExitStatus.noInput
            )
        }
    }
}

extension HTTPCall {
    /// One event in structured mode; the text goes as it is.
    static func structured(_ text: [UInt8]) -> HTTPCall {
        HTTPCall(
            method: .POST,
            path: "/v1/events",
            fields: [("content-type", "application/cloudevents+json")],
            body: text
        )
    }

    /// A batch; with `skippingInvalid` the good events of it are stored even if others are refused.
    static func batch(_ text: [UInt8], skippingInvalid: Bool = false) -> HTTPCall {
        HTTPCall(
            method: .POST,
            path: skippingInvalid ? "/v1/events?on-invalid=skip" : "/v1/events",
            fields: [("content-type", "application/cloudevents-batch+json")],
            body: text
        )
    }
}
