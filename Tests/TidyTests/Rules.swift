/// The house rules that are about one Swift file at a time.
enum Rules {
    static let all: [Rule] =
        [fileLength, functionLength, unexplainedUnsafe, leftovers]
        + [forceTry, detachedTasks, dispatchQueues, blockedThreads, sleepingTests, printing, testableImports]
        + [foundationInEvents, layers]

    private static let fileLinesMax = 400
    private static let functionLinesMax = 70

    static let fileLength = Rule(
        name: "a file has at most \(fileLinesMax) lines",
        reason: "a longer file holds more than one idea",
        instead: "move one of its ideas to a file of its own",
        violations: [.init("Sources/A/Long.swift", String(repeating: "let a = 1\n", count: fileLinesMax + 1))],
        allowed: [.init("Sources/A/Fits.swift", String(repeating: "let a = 1\n", count: fileLinesMax))]
    ) { file in
        // The newline at the end of the last line opens no line of its own.
        let count = file.lines.count - (file.lines.last?.isEmpty == true ? 1 : 0)
        return count > fileLinesMax ? [.init(path: file.path, line: count, what: "\(count) lines")] : []
    }

    static let functionLength = Rule(
        name: "a function has at most \(functionLinesMax) lines",
        reason: "nobody keeps a longer one in mind, and the hard bugs live in those",
        instead: "name its steps and make them functions",
        violations: [
            .init("Sources/A/F.swift", function("func f() throws -> Int", lines: functionLinesMax + 1)),
            .init("Sources/A/F.swift", function("let callback: Handler =", lines: functionLinesMax + 1)),
            .init("Tests/A/F.swift", "struct T {\n" + function("init(a: Int = { 1 }())", lines: 71) + "\n}"),
        ],
        allowed: [
            .init("Sources/A/F.swift", function("func f(brace: String = \"{\")", lines: functionLinesMax)),
            .init("Sources/A/P.swift", "protocol P {\n    func f()\n    init()\n}\n" + function("enum E", lines: 80)),
        ]
    ) { file in
        FunctionLength.bodies(in: file).filter { $0.count > functionLinesMax }
            .map { .init(path: file.path, line: $0.line, what: "\($0.count) lines") }
    }

    static let unexplainedUnsafe = Rule(
        name: "what the compiler is told not to check is explained",
        reason: "only a reason can be reviewed, and the compiler's checks are off there",
        instead: "a comment that starts with `// Safe:` on the line, right before it or right after it",
        violations: [
            .init("Sources/A/U.swift", "final class C: @unchecked Sendable {}"),
            .init("Sources/A/U.swift", "// Safe: far away\n\n\n\n\nnonisolated(unsafe) var a = 1"),
            .init("Sources/A/U.swift", "/// A class.\nfinal class C: @unchecked Sendable {}"),
        ],
        allowed: [
            .init("Sources/A/U.swift", "// Safe: the lock.\nfinal class C: @unchecked Sendable {}"),
            .init("Sources/A/U.swift", "nonisolated(unsafe) let a = p  // Safe: written once."),
            .init("Sources/A/U.swift", "final class C: @unchecked Sendable {\n    // Safe: the lock.\n}"),
            .init(
                "Sources/A/U.swift",
                "// Safe: a reason\n// that\n// takes\n// lines.\n@frozen\nstruct S: @unchecked Sendable {}"
            ),
        ]
    ) { file in
        ["@unchecked Sendable", "nonisolated(unsafe)"].flatMap { word in
            file.codeLines(with: word).filter { !isExplained(line: $0, in: file) }
                .map { .init(path: file.path, line: $0, what: word) }
        }
    }

    /// Whether `// Safe:` stands on the line, on the next, in the three before it, or in the comment that leads to it.
    private static func isExplained(line: Int, in file: SourceFile) -> Bool {
        let index = line - 1
        var first = max(0, index - 3)
        while first > 0, file.lines[first].drop(while: { $0 == " " }).hasPrefix("//") { first -= 1 }
        return file.lines[first...min(index + 1, file.lines.count - 1)].contains { $0.contains("// Safe:") }
    }

    static let leftovers = Rule(
        name: "nothing is left for later in the code",
        reason: "such a note is read by nobody and kept for ever",
        instead: "do it now, or write down the limit where a user of the code looks for it",
        violations: [.init("Sources/A/L.swift", "let a = 1  // " + "TO" + "DO: more")],
        allowed: [.init("Sources/A/L.swift", "let todos = 1  // toDoList")]
    ) { file in
        ["TO" + "DO", "FIX" + "ME"].flatMap { word in
            file.lines.indices.filter { file.lines[$0].contains(word) }
                .map { .init(path: file.path, line: $0 + 1, what: word) }
        }
    }

    private static func function(_ head: String, lines: Int) -> String {
        head + " {\n" + String(repeating: "    work()\n", count: lines - 2) + "}"
    }
}
