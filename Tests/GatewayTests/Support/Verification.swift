import Foundation
import Glibc
import ServerFixtures
import Testing

/// One run of `sluice verify`, to its end.
struct Verification {
    /// Its exit code.
    let code: Int32
    /// Everything it wrote.
    let text: String
    /// The JSON object it wrote, or an empty one.
    let report: WireJSON

    init(_ url: String, words: [String] = ["--json"], settings: [String: String] = [:]) throws {
        let folder = TemporaryDirectory()
        var environment = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin", "NATS_URL": url]
        environment.merge(settings) { $1 }
        let child = try #require(
            ChildProcess(
                try GatewayProcess.binary(),
                ["verify"] + words,
                environment: environment,
                logPath: "\(folder.path)/log"
            )
        )
        try #require(waitUntil(timeout: .seconds(60)) { !child.isRunning }, "it does not end: \(child.log)")
        let status = try #require(child.exitStatus)
        code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        text = child.log
        let json = text.split(separator: "\n").first { $0.hasPrefix("{") } ?? "{}"
        report = try WireJSON(parsing: Array(json.utf8))
    }

    /// A count of the report.
    subscript(name: String) -> Int? { report[name].int }

    /// A count of the report's part about the audit itself.
    func audit(_ name: String) -> Int? { report["audit"][name].int }

    /// The missing sequences, one by one.
    var missing: [Int] { sequences("missing_sequences") }

    /// The changed sequences, one by one.
    var changed: [Int] { sequences("changed_sequences") }

    private func sequences(_ name: String) -> [Int] {
        report[name].items.flatMap { pair in
            guard let first = pair[0].int, let last = pair[1].int, first <= last else { return [Int]() }
            return Array(first...last)
        }
    }
}

/// A gateway and its nats-server, whose audit is looked at.
struct AuditedStack {
    private let stack: GatewayStack

    init(_ binary: NATSServer.Binary, settings: [String: String] = [:]) throws {
        stack = try GatewayStack(binary, settings: settings)
    }

    var gateway: GatewayProcess { stack.gateway }
    var server: NATSServer { stack.server }

    func reader() throws -> StreamReader { try stack.reader() }

    /// Calls `$JS.API.<subject>`.
    @discardableResult
    func api(_ subject: String, _ payload: String = "") throws -> WireJSON { try reader().api(subject, payload) }

    /// Publishes so many events in one batch, each acknowledged.
    @discardableResult
    func publish(_ count: Int) throws -> [TestEvent] {
        let events = (0..<count).map { _ in TestEvent() }
        let answer = try gateway.exchange(batch(events.map(\.json)))
        try #require(answer.status == 202, "\(answer.text)")
        return events
    }

    /// Publishes and waits until the audit has it.
    func publishAudited(_ count: Int) throws {
        try publish(count)
        let check = try verify { $0["audited"] == count }
        try #require(check["audited"] == count, "\(check.text)")
    }

    /// Runs the verification now.
    func verify() throws -> Verification { try Verification(server.url) }

    /// Runs the verification until it says what is awaited, at most half a minute.
    func verify(until isDone: (Verification) -> Bool) throws -> Verification {
        var check = try verify()
        _ = try waitUntil(timeout: .seconds(30)) {
            if isDone(check) { return true }
            check = try verify()
            return false
        }
        return check
    }

    /// The text of a stored event.
    func payload(_ sequence: Int) throws -> String {
        String(decoding: try #require(try reader().message(sequence)).payload, as: UTF8.self)
    }

    /// Stops the server, changes each block file of a stream, and starts it again.
    func damage(_ stream: String, killing: Bool = false, _ change: (String) throws -> Void) throws {
        if killing { server.kill() } else { server.terminate() }
        let store = URL(fileURLWithPath: server.directory.path)
        let files =
            FileManager.default.enumerator(at: store, includingPropertiesForKeys: nil)?
            .compactMap { $0 as? URL } ?? []
        let blocks = files.map(\.path).filter { $0.contains("/\(stream)/msgs/") && $0.hasSuffix(".blk") }
        try #require(!blocks.isEmpty, "the stream has no block file")
        for block in blocks { try change(block) }
        try server.start()
        let isBack = waitUntil(timeout: .seconds(30)) { (try? reader().lastSequence()) ?? -1 >= 0 }
        try #require(isBack, "\(server.log)")
    }

    /// Damages the events' files while the gateway is gone, and compares what `verify` finds with what a plain reader
    /// finds.
    ///
    /// - Returns: The sequences that are lost.
    @discardableResult
    func expectDamageFound(killing: Bool = false, _ change: (String) throws -> Void) throws -> [Int] {
        gateway.kill()
        let last = try reader().lastSequence()
        let before = try (1...last).map { try reader().message($0)?.payload }
        try damage(GatewayStack.stream, killing: killing, change)
        let check = try verify()
        let after = try reader()
        // nats-server 2.9 denies once what it reads first from a damaged block: only the second reading counts.
        for sequence in 1...last { _ = try after.message(sequence) }
        let lost = try (1...last).filter { try after.message($0)?.payload != before[$0 - 1] }
        try #require(!lost.isEmpty, "the damage harmed nothing: nothing was tested")
        #expect(check.code == 2, "\(check.text)")
        #expect((check.missing + check.changed).sorted() == lost, "\(check.text)")
        #expect(check["present"] == last - lost.count)
        return lost
    }
}
