import Testing

/// Every house rule, over the whole repository and over examples that prove it can fail.
@Suite("House rules")
struct RuleTests {
    @Test("the sources and the tests keep the rule", arguments: Rules.all)
    func sourcesKeep(rule: Rule) throws {
        let files = try Repository.swiftFiles()
        try #require(files.count > 10, "the rules looked at \(files.count) files")
        let findings = files.flatMap(rule.check)
        #expect(findings.isEmpty, "\(rule.explanation(of: findings))")
    }

    @Test("the rule catches what breaks it", arguments: Rules.all)
    func catches(rule: Rule) {
        #expect(!rule.violations.isEmpty)
        for example in rule.violations {
            #expect(!rule.check(example.file).isEmpty, "\(rule.name) does not see: \(example.text.prefix(80))")
        }
    }

    @Test("the rule leaves alone what only looks like it", arguments: Rules.all)
    func allows(rule: Rule) {
        for example in rule.allowed {
            let findings = rule.check(example.file)
            #expect(findings.isEmpty, "\(rule.name) sees too much: \(findings)")
        }
    }

    @Test func `every rule has its own name`() {
        #expect(Set(Rules.all.map(\.name)).count == Rules.all.count)
    }
}
