import Logging
import OTLPTracing
import ServerFixtures
import Testing
import Tracing

/// Runs a tracer's exporter beside a test, and ends it with the test.
func withTracer(
    _ configuration: OTLPConfiguration,
    _ body: (OTLPTracer) async throws -> Void
) async throws {
    let tracer = OTLPTracer(configuration: configuration, logger: quietLogger)
    let run = Task { await tracer.run() }
    do {
        try await body(tracer)
    } catch {
        run.cancel()
        await run.value
        throw error
    }
    run.cancel()
    await run.value
}

let quietLogger = Logger(label: "otlp") { _ in SwiftLogNoOpLogHandler() }

extension OTLPTracer {
    /// Starts and ends so many spans.
    func record(_ count: Int, name: String = "work") {
        for _ in 0..<count { startSpan(name, parent: nil, ofKind: .internal).end() }
    }
}

/// Waits for what the tracer's status must become.
func expect(
    _ tracer: OTLPTracer,
    _ location: SourceLocation = #_sourceLocation,
    _ condition: @escaping @Sendable (OTLPStatus) -> Bool
) async {
    let isMet = await eventually(timeout: .seconds(30)) { condition(tracer.status) }
    #expect(isMet, "\(tracer.status)", sourceLocation: location)
}
