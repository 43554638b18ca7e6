import Foundation

/// One text file of the repository, with what the rules ask of it.
struct SourceFile: Sendable {
    /// Where it is, from the repository's root, with `/` between the parts.
    let path: String
    /// The text as it is, line by line.
    let lines: [String]
    /// The code alone, line by line: comments and string literals are spaces.
    let codeLines: [String]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        codeLines = SwiftScanner.code(of: text).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
    }

    /// The folder below `Sources` or `Tests` that the file belongs to.
    var target: String? {
        let parts = path.split(separator: "/")
        return parts.count > 2 && (parts[0] == "Sources" || parts[0] == "Tests") ? String(parts[1]) : nil
    }

    var isTest: Bool { path.hasPrefix("Tests/") }
    var isSource: Bool { path.hasPrefix("Sources/") }
    var isSwift: Bool { path.hasSuffix(".swift") }

    /// The modules it imports, each with the number of the line, counted from 1.
    var imports: [(module: String, line: Int, isTestable: Bool)] {
        codeLines.enumerated().compactMap { index, line in
            let words = line.split(whereSeparator: { $0 == " " || $0 == ";" })
            guard let keyword = words.firstIndex(of: "import"), words[..<keyword].allSatisfy(Self.precedesImport) else {
                return nil
            }
            var name = words[(keyword + 1)...]
            if let kind = name.first, Self.importKinds.contains(String(kind)) { name = name.dropFirst() }
            guard let module = name.first?.split(separator: ".").first else { return nil }
            return (String(module), index + 1, words[..<keyword].contains("@testable"))
        }
    }

    /// Finds the lines, counted from 1, whose code holds the text and not as a part of a longer name.
    ///
    /// The text is sought byte for byte; `something.text` counts too if `allowsMember`.
    func codeLines(with text: String, allowsMember: Bool = true) -> [Int] {
        codeLines.indices.filter { holds(Array(codeLines[$0].utf8), Array(text.utf8), allowsMember: allowsMember) }
            .map { $0 + 1 }
    }

    private func holds(_ line: [UInt8], _ needle: [UInt8], allowsMember: Bool) -> Bool {
        guard line.count >= needle.count else { return false }
        return (0...line.count - needle.count).contains { start in
            guard line[start..<start + needle.count].elementsEqual(needle) else { return false }
            guard start > 0, Self.isNamePart(needle[0]) else { return true }
            let before = line[start - 1]
            return !Self.isNamePart(before) && (allowsMember || before != UInt8(ascii: "."))
        }
    }

    private static let importKinds: Set<String> = [
        "struct", "class", "enum", "protocol", "func", "var", "let", "typealias",
    ]

    private static func precedesImport(_ word: Substring) -> Bool {
        word.hasPrefix("@") || ["public", "package", "internal", "fileprivate", "private"].contains(word)
    }

    static func isNamePart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...: true
        default: false
        }
    }
}
