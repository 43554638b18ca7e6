import Testing

/// Rules about the repository as a whole.
@Suite("Repository rules")
struct RepositoryTests {
    private static let allowedNames: Set<String> = [
        ".ci", ".gitignore", ".swift-format", "CONTRIBUTING.md", "LICENSE", "Package.swift", "README.md", "Sources",
        "Tests", "deploy", "schemas",
    ]

    @Test func `the root holds only what is meant to be there`() throws {
        let strangers = Self.strangers(among: try Repository.topLevelNames())
        #expect(strangers.isEmpty, "move them to a folder, ignore them, or allow them in RepositoryTests.swift")
    }

    @Test func `a stranger in the root is seen`() {
        #expect(Self.strangers(among: ["Sources", "notes.txt", "README.md"]) == ["notes.txt"])
    }

    private static func strangers(among names: [String]) -> [String] {
        names.filter { !allowedNames.contains($0) }
    }

    @Test func `no file names a folder of somebody's machine`() throws {
        let findings = try Repository.textFiles().flatMap(Self.machinePaths)
        #expect(findings.isEmpty, "write paths from the repository's root: \(findings)")
    }

    @Test(
        "a path of a machine is seen",
        arguments: zip(["at FOLDERann/x", "FOLDERann", "netFOLDERann", "https://a.exampleFOLDER"], [1, 1, 0, 0])
    )
    func seesMachinePath(template: String, count: Int) {
        for folder in Self.folders {
            let text = template.split(separator: "FOLDER", omittingEmptySubsequences: false).joined(separator: folder)
            #expect(Self.machinePaths(in: SourceFile(path: "a.md", text: text)).count == count)
        }
    }

    // Written in two parts, so that this file does not name them itself.
    private static let folders: [String] = ["wo" + "rk", "ho" + "me", "ro" + "ot", "Us" + "ers"].map { "/\($0)/" }

    private static func machinePaths(in file: SourceFile) -> [Rule.Finding] {
        file.lines.enumerated().flatMap { index, line in
            folders.filter { holds(line, folder: $0) }.map { .init(path: file.path, line: index + 1, what: $0) }
        }
    }

    /// Whether a path that starts with the folder stands in the line: no name and no host goes before it.
    private static func holds(_ line: String, folder: String) -> Bool {
        let bytes = Array(line.utf8)
        let needle = Array(folder.utf8)
        guard bytes.count >= needle.count else { return false }
        return (0...bytes.count - needle.count).contains { start in
            bytes[start..<start + needle.count].elementsEqual(needle)
                && (start == 0 || !(SourceFile.isNamePart(bytes[start - 1]) || bytes[start - 1] == UInt8(ascii: ".")))
        }
    }
}
