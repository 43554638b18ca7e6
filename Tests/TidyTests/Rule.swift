import Testing

/// A house rule over one file: what breaks it, why it exists, and what to write instead.
struct Rule: Sendable, CustomTestStringConvertible {
    /// A place that breaks the rule.
    struct Finding: Sendable, Equatable, CustomStringConvertible {
        let path: String
        let line: Int
        let what: String

        var description: String { "\(path):\(line): \(what)" }
    }

    /// A file made up to prove that the rule sees what it should.
    struct Example: Sendable {
        let path: String
        let text: String

        init(_ path: String, _ text: String) {
            self.path = path
            self.text = text
        }

        var file: SourceFile { SourceFile(path: path, text: text) }
    }

    /// What the rule asks, as a sentence.
    let name: String
    /// Why it is a rule.
    let reason: String
    /// What to write instead.
    let instead: String
    /// Files that break it.
    let violations: [Example]
    /// Files close to breaking it that keep it.
    let allowed: [Example]
    /// The lines of a file that break it.
    let check: @Sendable (SourceFile) -> [Finding]

    var testDescription: String { name }

    /// The findings with the reason and the replacement, as a person reads them.
    func explanation(of findings: [Finding]) -> String {
        let places = findings.map { "\n  \($0)" }.joined()
        return "\(name): \(reason). Instead: \(instead).\(places)"
    }
}

extension Rule {
    /// A rule that some words do not appear in the code of some files.
    static func bans(
        _ words: [String],
        name: String,
        reason: String,
        instead: String,
        allowsMember: Bool = true,
        where applies: @escaping @Sendable (SourceFile) -> Bool = { _ in true },
        violations: [Example],
        allowed: [Example]
    ) -> Rule {
        Rule(name: name, reason: reason, instead: instead, violations: violations, allowed: allowed) { file in
            guard applies(file) else { return [] }
            return words.flatMap { word in
                file.codeLines(with: word, allowsMember: allowsMember).map {
                    Finding(path: file.path, line: $0, what: word)
                }
            }
        }
    }
}
