import Foundation
import ServerFixtures
import Testing

/// What the compiler keeps services from, tried with the modules of this build.
@Suite struct TypedCompileTests {
    private static let declarations = """
        import CloudEvents
        import EventBus
        enum Mine: EventService { static let name = "mine"; static let source = "/mine" }
        enum Other: EventService { static let name = "other"; static let source = "/other" }
        struct Own: EventPayload { typealias Emitter = Mine; static let eventType = EventType("own") }
        struct Foreign: EventPayload { typealias Emitter = Other; static let eventType = EventType("foreign") }
        struct Common: EventPayload { static let eventType = EventType("common") }
        struct Plain: Codable, Sendable {}
        func use(_ mine: ServiceEvents<Mine>, _ bus: EventBus) async throws {
            STATEMENT
        }
        """

    /// What the compiler says of a statement; empty if it takes it.
    private static func complaints(_ statement: String) throws -> String {
        let folder = TemporaryDirectory()
        let file = "\(folder.path)/use.swift"
        try declarations.replacing("STATEMENT", with: statement).write(toFile: file, atomically: true, encoding: .utf8)
        var root = URL(filePath: #filePath).deletingLastPathComponent()
        while root.path != "/", !FileManager.default.fileExists(atPath: root.appending(path: "Package.swift").path) {
            root.deleteLastPathComponent()
        }
        let maps = ["CNATS", "COpenSSL"].flatMap { module in
            ["-Xcc", "-fmodule-map-file=\(root.path)/Sources/\(module)/module.modulemap"]
        }
        let modules = Bundle.main.bundleURL.appending(path: "Modules").path
        let arguments = ["-typecheck", "-swift-version", "6", "-I", modules] + maps + [file]
        let result = try Program.run("swiftc", arguments)
        return result.status == 0 ? "" : result.output
    }

    @Test(arguments: [
        "_ = try await mine.publisher.publish(Own())", "_ = try await mine.publisher.publish(Common(), subject: \"s\")",
        "_ = mine.on(Foreign.self) { _, publisher in _ = try await publisher.publish(Own()) }",
        "_ = try await bus.publish(Foreign(), source: \"/anywhere\")",
    ])
    func `what a service may do compiles`(statement: String) throws {
        #expect(try Self.complaints(statement) == "")
    }

    @Test(arguments: [
        ("_ = try await mine.publisher.publish(Foreign())", "requires that the types 'Mine' and 'Foreign.Emitter'"),
        (
            "_ = mine.on(Foreign.self) { received, its in _ = try await its.publish(received.payload) }",
            "no exact matches"
        ),
        ("_ = mine.on(Own.self) { received, _ in let other: Foreign = received.payload }", "cannot convert"),
        ("_ = mine.on(Plain.self) { _, _ in }", "conform to 'EventPayload'"),
    ])
    func `what a service may not do does not compile`(statement: String, reason: String) throws {
        let complaints = try Self.complaints(statement)
        #expect(complaints.contains("error:") && complaints.contains(reason), "\(complaints)")
    }
}
