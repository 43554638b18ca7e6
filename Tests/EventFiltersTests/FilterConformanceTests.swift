import CloudEvents
import EventFilters
import Foundation
import Testing

/// Every case of the shared corpus of filters.
@Suite struct FilterConformanceTests {
    private struct Case {
        let id: String
        let filter: Data
        let event: CloudEvent
        let match: String
        let alternatives: [String]

        /// Reads a line; filters and events go through Foundation only to be cut out of it.
        init(_ line: Substring) throws {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            id = try #require(object["id"] as? String)
            filter = try JSONSerialization.data(withJSONObject: try #require(object["filter"]))
            let event = try JSONSerialization.data(withJSONObject: try #require(object["event"]))
            self.event = try JSONFormat.decode(Array(event)[...])
            match = try Self.outcome(try #require(object["match"]))
            alternatives = try (object["alt"] as? [Any] ?? []).map(Self.outcome)
        }

        private static func outcome(_ value: Any) throws -> String {
            if let text = value as? String { return text }
            return try #require(value as? Bool) ? "true" : "false"
        }

        var outcome: String {
            guard let filter = try? EventFilter(parsing: filter) else { return "error" }
            return filter.matches(event) ? "true" : "false"
        }
    }

    private func cases() throws -> [Case] {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/filters_cases.jsonl")
        return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map(Case.init)
    }

    @Test func `every case but those in SQL comes out as labelled`() throws {
        let cases = try cases()
        #expect(cases.count == 58)
        for item in cases where !item.id.hasPrefix("sql-") {
            let outcome = item.outcome
            #expect(([item.match] + item.alternatives).contains(outcome), "\(item.id): \(outcome)")
        }
    }

    @Test func `the cases in SQL, and no others, are refused as not supported`() throws {
        let cases = try cases().filter { $0.id.hasPrefix("sql-") }
        #expect(cases.count == 5)
        for item in cases {
            let error = #expect(throws: InvalidFilter.self) { try EventFilter(parsing: item.filter) }
            #expect(error?.violations.map(\.rule) == ["SUB-17"], "\(item.id)")
            #expect(error?.violations.first?.pointer == "/0/sql", "\(item.id)")
            #expect(error?.violations.first?.detail.contains("not supported yet") == true, "\(item.id)")
        }
    }

    @Test func `what is written back is read as the same filter`() throws {
        for item in try cases() where !item.id.hasPrefix("sql-") && item.outcome != "error" {
            let filter = try EventFilter(parsing: item.filter)
            #expect(try EventFilter(parsing: filter.json) == filter, "\(item.id)")
        }
    }
}
