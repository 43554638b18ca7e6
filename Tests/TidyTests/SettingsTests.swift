import Foundation
import Testing

/// The table of settings in the README is the one in the source.
struct SettingsTests {
    @Test func `the README has every setting with its default and no other`() throws {
        let sources = try Repository.swiftFiles().filter { $0.path.hasPrefix("Sources/SluiceCommands/Configuration") }
        let inSource = Self.defaults(inSource: sources.map { $0.lines.joined(separator: "\n") }.joined())
        let inReadme = Self.defaults(inReadme: try Repository.text("README.md"))
        try #require(inSource.count > 10, "settings are looked for in Sources/SluiceCommands/Configuration*.swift")
        let unwritten = inSource.keys.filter { inReadme[$0] == nil }.sorted()
        #expect(unwritten.isEmpty, "a user cannot find them: give each a row in the README's table of settings")
        let unread = inReadme.keys.filter { inSource[$0] == nil }.sorted()
        #expect(unread.isEmpty, "they do nothing: take them out of the README's table, or read them")
        let different = inSource.filter { name, value in (inReadme[name] ?? value) != value }.keys.sorted()
        #expect(different.isEmpty, "their default in the README is not the one in the source")
    }

    @Test func `settings in the source are found with their defaults`() {
        let text = """
            Setting("NATS_URL", "url", default: "nats://a", "like API_PORT") { use("OTHER_NAME") },
            Setting(
                "LIMIT", "count",
                default: "", "see MAX_X")
            let setting = Setting(name)
            """
        #expect(Self.defaults(inSource: text) == ["NATS_URL": "nats://a", "LIMIT": ""])
    }

    @Test func `settings in the README are found in the first cell of a row`() {
        let readme = """
            Set `OTHER_NAME` first.
            | variable | default | is |
            |---|---|---|
            | `MAX_MSGS` | `-1` | a limit, see `ELSE_WHERE` |
            | `CLUSTER_ID` | – | a name |
            | `status` | | `IN_TEXT` |
            | 200 | `IN_TEXT` | |
            """
        #expect(Self.defaults(inReadme: readme) == ["MAX_MSGS": "-1", "CLUSTER_ID": ""])
    }

    /// Reads `Setting("NAME", … default: "VALUE"`.
    private static func defaults(inSource text: String) -> [String: String] {
        var found: [String: String] = [:]
        for part in text.components(separatedBy: "Setting(").dropFirst() {
            let literals = part.components(separatedBy: "\"")
            guard literals.count > 3, isBlank(literals[0]) else { continue }
            let marked = literals.indices.first { $0 % 2 == 0 && literals[$0].hasSuffix("default: ") }
            if let marked, marked + 1 < literals.count { found[literals[1]] = literals[marked + 1] }
        }
        return found
    }

    /// Reads the rows `| NAME | VALUE |` whose name is in upper case, in backticks.
    private static func defaults(inReadme text: String) -> [String: String] {
        var found: [String: String] = [:]
        for row in text.components(separatedBy: "\n") where row.hasPrefix("| `") {
            let cells = row.components(separatedBy: "|").map { cell in
                cell.trimmingCharacters(in: CharacterSet(charactersIn: " `"))
            }
            guard cells.count > 3, isSettingName(cells[1]) else { continue }
            found[cells[1]] = cells[2] == "–" ? "" : cells[2]
        }
        return found
    }

    private static func isSettingName(_ text: String) -> Bool {
        text.contains(where: \.isUppercase)
            && text.allSatisfy { $0 == "_" || ($0.isASCII && ($0.isUppercase || $0.isNumber)) }
    }

    private static func isBlank(_ text: String) -> Bool {
        text.allSatisfy(\.isWhitespace)
    }
}
