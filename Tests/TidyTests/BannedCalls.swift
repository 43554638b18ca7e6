/// Calls that have no place in this code.
extension Rules {
    static let forceTry = Rule.bans(
        ["try!"],
        name: "no try!",
        reason: "an error from outside must not end the process",
        instead: "`try` and a typed error, or `#require` in a test",
        violations: [.init("Sources/A/T.swift", "let a = try! f()"), .init("Tests/A/T.swift", "_ = try! f()")],
        allowed: [
            .init("Sources/A/T.swift", "let a = try f()  // not try! here"), .init("Sources/A/S.swift", "\"try!\""),
        ]
    )

    static let detachedTasks = Rule.bans(
        ["Task.detached"],
        name: "no detached tasks",
        reason: "nobody waits for one, and cancelling its parent does not reach it",
        instead: "a child in a task group, or a service's `run()`",
        violations: [.init("Sources/A/D.swift", "Task.detached { await f() }")],
        allowed: [.init("Sources/A/D.swift", "group.addTask { await f() }")]
    )

    static let dispatchQueues = Rule.bans(
        ["DispatchQueue"],
        name: "no dispatch queues",
        reason: "a third kind of thread beside event loops and our own would have no owner",
        instead: "a thread that is ours, or an event loop",
        violations: [.init("Sources/A/Q.swift", "DispatchQueue.global().async { f() }")],
        allowed: [.init("Sources/A/Q.swift", "/// Not a DispatchQueue.\nlet a = MyDispatchQueue()")]
    )

    static let blockedThreads = Rule.bans(
        ["Thread.sleep"],
        name: "no sleeping threads",
        reason: "a sleeping thread can be neither woken nor stopped",
        instead: "wait on a condition with a deadline",
        violations: [.init("Sources/A/S.swift", "Thread.sleep(forTimeInterval: 1)")],
        allowed: [.init("Sources/A/S.swift", "condition.wait(until: deadline)")]
    )

    static let sleepingTests = Rule.bans(
        ["Task.sleep", "sleep(", "usleep(", "nanosleep(", "clock_nanosleep("],
        name: "tests do not sleep",
        reason: "a pause is too short on a busy machine and too long on all others",
        instead: "wait for the condition itself, with a deadline",
        where: { $0.isTest },
        violations: [
            .init("Tests/A/S.swift", "try await Task.sleep(for: .seconds(1))"),
            .init("Tests/A/S.swift", "sleep(1)"),
            .init("Tests/A/S.swift", "Glibc.usleep(1000)"),
            .init("Tests/A/S.swift", "try await clock.sleep(until: deadline)"),
        ],
        allowed: [
            .init("Sources/A/S.swift", "try await Task.sleep(for: backoff)"),
            .init("Tests/A/S.swift", "try spawn(\"sleep(1)\")  // sleep(2)\nstopsleep()"),
        ]
    )

    static let printing = Rule.bans(
        ["print(", "debugPrint(", "dump(", "Swift.print("],
        name: "libraries do not print",
        reason: "standard output belongs to the program, and what a library has to say has a level and fields",
        instead: "throw it, or log it; the command line alone writes to the terminal",
        allowsMember: false,
        where: { $0.isSource && $0.target != "sluice" && $0.target != "SluiceCommands" },
        violations: [
            .init("Sources/JetStream/P.swift", "print(\"connected\")"),
            .init("Sources/JetStream/P.swift", "if a { Swift.print(a) }"),
        ],
        allowed: [
            .init("Sources/SluiceCommands/P.swift", "print(\"connected\")"),
            .init("Sources/JetStream/P.swift", "fingerprint(a)\nprinter.print(a)"),
        ]
    )

    static let testableImports = Rule(
        name: "no @testable imports",
        reason: "the tests run on the release build, which has none",
        instead: "`package` access for what a test needs",
        violations: [.init("Tests/A/T.swift", "@testable import A")],
        allowed: [.init("Tests/A/T.swift", "import A  // not @testable import A")]
    ) { file in
        file.imports.filter(\.isTestable).map { .init(path: file.path, line: $0.line, what: $0.module) }
    }
}
