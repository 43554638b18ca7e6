import Foundation

/// The conformance corpus: requests to an ingress, each with what has to become of it.
///
/// Source: `Fixtures/envelope_cases.jsonl`, one case on a line.
package enum Corpus {
    /// Every case, made unique by this run's id, or none when the file cannot be read (a test counts them).
    package static let cases: [CorpusCase] = (try? load()) ?? []

    /// Eight characters that are new in every run: they take the place of `RUNID000` in ids and sources.
    package static let runID = String((0..<8).map { _ in "abcdefghijklmnopqrstuvwxyz".randomElement() ?? "x" })

    /// The folder with the data files of the tests.
    package static var folder: String {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        return tests.appendingPathComponent("GatewayTests/Fixtures").path
    }

    private static func load() throws -> [CorpusCase] {
        let text = try String(contentsOfFile: "\(folder)/envelope_cases.jsonl", encoding: .utf8)
            .replacingOccurrences(of: "RUNID000", with: runID)
        return try text.utf8.split(separator: 10).map { line in
            try CorpusCase(WireJSON(parsing: Array(line)))
        }
    }
}

/// One case of the corpus.
package struct CorpusCase: Sendable, CustomStringConvertible {
    package enum Expectation: String, Sendable {
        case accept, reject, either
    }

    package let id: String
    package let mode: String
    package let headers: [(name: String, value: String)]
    package let body: [UInt8]
    package let expect: Expectation
    /// Statuses that fit a refusal.
    package let statuses: [Int]
    /// The rule, first in the text.
    package let why: String
    /// What has to be stored when it is accepted, in order; one event unless it is a batch.
    package let events: [CorpusEvent]

    init(_ json: WireJSON) throws {
        guard let id = json["id"].string, let mode = json["mode"].string, let why = json["why"].string,
            let expect = json["expect"].string.flatMap(Expectation.init)
        else { throw WireJSONError(offset: 0) }
        (self.id, self.mode, self.why, self.expect) = (id, mode, why, expect)
        headers = json["headers"].members.flatMap { name, value in
            (value.string.map { [$0] } ?? value.items.compactMap(\.string)).map { (name: name, value: $0) }
        }
        body = try json["body_b64"].string.map(Self.body(base64:)) ?? Array((json["body"].string ?? "").utf8)
        statuses = json["status"].items.compactMap(\.int)
        events = try mode == "batch" ? json["events"].items.map(CorpusEvent.init) : [CorpusEvent(json)]
    }

    /// The run's id goes into these bodies after they are decoded.
    private static func body(base64 text: String) throws -> [UInt8] {
        try bytes(base64: text).replacing("RUNID000".utf8, with: Array(Corpus.runID.utf8))
    }

    package func request(to target: String = "/v1/events") -> HTTPRequest {
        HTTPRequest("POST", target, headers: headers, body: body)
    }

    package var description: String { id }
}

/// What has to be stored for one accepted event.
package struct CorpusEvent: Sendable {
    /// Canonical strings by name; `nil` allows anything.
    package let attributes: [String: String]?
    /// JSON types by name, where only those tell.
    package let types: [String: String]
    /// The payload; empty for none.
    package let data: [UInt8]
    /// How payloads are compared: `bytes`, `json` or `skip`.
    package let comparison: String
    /// Attributes that may appear in addition.
    package let implied: [String: String]

    /// - Parameter json: An object with the members that the corpus describes.
    package init(_ json: WireJSON) throws {
        func strings(_ json: WireJSON) -> [String: String] {
            Dictionary(json.members.map { ($0.name, $0.value.string ?? "") }, uniquingKeysWith: { $1 })
        }
        attributes = json["attributes"].isNull ? nil : strings(json["attributes"])
        types = strings(json["types"])
        implied = strings(json["implied"])
        data = try json["data_b64"].string.map(bytes(base64:)) ?? []
        comparison = json["data_compare"].string ?? "bytes"
    }
}

private func bytes(base64 text: String) throws -> [UInt8] {
    guard let data = Data(base64Encoded: text) else { throw WireJSONError(offset: 0) }
    return Array(data)
}
