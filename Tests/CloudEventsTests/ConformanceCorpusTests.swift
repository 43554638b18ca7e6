import CloudEvents
import Foundation
import Testing

/// Every request of the conformance corpus, at the level of the library.
///
/// What HTTP itself decides (content coding, sizes of header blocks) is not seen here.
@Suite struct ConformanceCorpusTests {
    @Test func `every case of the corpus behaves as labelled`() throws {
        let cases = try fixture("envelope_cases.jsonl").map(CorpusCase.init)
        #expect(cases.count >= 388)
        for item in cases {
            switch (item.expect, item.outcome()) {
            case ("accept", .accepted(let events)), ("either", .accepted(let events)):
                item.compare(events)
            case ("reject", .rejected(let violations)), ("either", .rejected(let violations)):
                #expect(!violations.isEmpty, "\(item.id)")
            case ("reject", .unsupported), ("either", .unsupported):
                #expect(item.statuses.isEmpty || item.statuses.contains(415), "\(item.id)")
            case ("accept", .rejected(let violations)):
                Issue.record("\(item.id) should be accepted (\(item.why)): \(violations)")
            case (_, let outcome):
                Issue.record("\(item.id) should be \(item.expect) (\(item.why)): \(outcome)")
            }
        }
    }

    @Test func `every accepted case survives every mode and binding`() throws {
        for item in try fixture("envelope_cases.jsonl").map(CorpusCase.init) where item.expect == "accept" {
            guard case .accepted(let events) = item.outcome() else {
                Issue.record("\(item.id) is not accepted")
                continue
            }
            for event in events {
                for (mode, back) in try RoundTrip.all(event) {
                    #expect(back.event == back.expected, "\(item.id) in \(mode)")
                }
            }
        }
    }

    @Test func `a rejected case names the rule it was written for`() throws {
        var judged = 0
        for item in try fixture("envelope_cases.jsonl").map(CorpusCase.init) where item.expect == "reject" {
            guard case .rejected(let violations) = item.outcome() else { continue }
            judged += 1
            let rule = String(item.why.prefix { $0 != " " && $0 != "," })
            // That a message is no event at all shows in the attributes that are missing.
            let wanted = rule == "HTTP-04" ? "CE-01" : rule
            #expect(violations.contains { $0.rule == wanted }, "\(item.id): \(violations)")
        }
        #expect(judged >= 180)
    }
}

/// One line of the corpus.
struct CorpusCase {
    enum Outcome {
        case accepted([CloudEvent])
        case rejected([Violation])
        case unsupported
    }

    let id: String
    let expect: String
    let why: String
    let statuses: [Int]
    private let fields: [(name: String, value: String)]
    private let body: ArraySlice<UInt8>
    private let expected: [[String: Any]]

    init(_ line: [String: Any]) {
        id = line["id"] as? String ?? "?"
        expect = line["expect"] as? String ?? "?"
        why = line["why"] as? String ?? ""
        statuses = line["status"] as? [Int] ?? []
        let headers = line["headers"] as? [String: Any] ?? [:]
        fields = headers.flatMap { name, value in
            (value as? [String] ?? [value as? String ?? ""]).map { (name: name, value: Self.asServerReads($0)) }
        }
        if let encoded = line["body_b64"] as? String {
            body = Array(Data(base64Encoded: encoded) ?? Data())[...]
        } else {
            body = bytes(line["body"] as? String ?? "")
        }
        expected = line["events"] as? [[String: Any]] ?? [line]
    }

    /// A server makes a text of the bytes of a field and repairs what is not UTF-8.
    private static func asServerReads(_ value: String) -> String {
        String(decoding: value.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }, as: UTF8.self)
    }

    func outcome() -> Outcome {
        let contentType = fields.first { $0.name.lowercased() == "content-type" }?.value
        do throws(InvalidEvent) {
            switch HTTPBinding.contentMode(contentType: contentType) {
            case .binary:
                return .accepted([try HTTPBinding.decode(fields: fields, body: body)])
            case .structured:
                return .accepted([try HTTPBinding.decodeStructured(body)])
            case .batch:
                let entries = try HTTPBinding.decodeBatch(body)
                let failures = entries.compactMap { entry in
                    if case .failure(let error) = entry.result { error } else { nil }
                }
                guard failures.isEmpty else { return .rejected(failures.flatMap(\.violations)) }
                return .accepted(entries.compactMap { try? $0.result.get() })
            case .unknownFormat:
                return .unsupported
            }
        } catch {
            return .rejected(error.violations)
        }
    }

    func compare(_ events: [CloudEvent]) {
        guard expected.count == events.count || expected.first?["attributes"] is NSNull else {
            Issue.record("\(id): \(events.count) events instead of \(expected.count)")
            return
        }
        for (event, expected) in zip(events, expected) { compare(event, expected) }
    }

    private func compare(_ event: CloudEvent, _ expected: [String: Any]) {
        guard let attributes = expected["attributes"] as? [String: String] else { return }
        let implied = expected["implied"] as? [String: String] ?? [:]
        let names =
            ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema"]
            + event.extensions.map(\.name)
        for name in names {
            guard let value = event.attribute(named: name)?.canonicalText else { continue }
            let wanted = attributes[name] ?? implied[name]
            if name == "time", let wanted, let instant = Timestamp(wanted) {
                #expect(event.time == instant, "\(id): time")
            } else {
                #expect(value.utf8.elementsEqual((wanted ?? "(absent)").utf8), "\(id): \(name) is \(value)")
            }
        }
        for name in attributes.keys { #expect(event.attribute(named: name) != nil, "\(id): \(name) is lost") }
        for (name, type) in expected["types"] as? [String: String] ?? [:] {
            #expect(Self.typeName(event.attribute(named: name)) == type.lowercased(), "\(id): type of \(name)")
        }
        compareData(event, expected)
    }

    private static func typeName(_ value: AttributeValue?) -> String {
        switch value {
        case .boolean: "boolean"
        case .integer: "integer"
        default: "string"
        }
    }

    private func compareData(_ event: CloudEvent, _ expected: [String: Any]) {
        let wanted = (expected["data_b64"] as? String).flatMap { Data(base64Encoded: $0) } ?? Data()
        let found = event.data.map { Data($0.bytes) } ?? Data()
        switch expected["data_compare"] as? String {
        case "bytes": #expect(found == wanted, "\(id): data")
        case "json":
            #expect(ExactJSON(wanted) != nil, "\(id): the expectation is JSON")
            #expect(ExactJSON(found) == ExactJSON(wanted), "\(id): data as JSON")
        default: break
        }
    }
}
