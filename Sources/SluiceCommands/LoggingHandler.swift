import Glibc
package import Logging

/// The log handler of the command line: renders a line and writes it to a descriptor with a single `write(2)`.
package struct LineLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let line: LogLine
    private let output: LineOutput
    private let descriptor: Int32

    /// Makes a handler.
    ///
    /// - Parameters:
    ///   - level: The least level that is written.
    ///   - format: How lines look.
    ///   - output: Shared by all handlers of one descriptor: it keeps lines whole.
    ///   - descriptor: Where lines go; stays open and is the caller's.
    package init(
        level: Logger.Level,
        format: LogFormat,
        output: LineOutput,
        descriptor: Int32 = STDERR_FILENO
    ) {
        logLevel = level
        line = LogLine(format: format)
        self.output = output
        self.descriptor = descriptor
    }

    package subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var merged = metadata
        if let provided = metadataProvider?.get() { merged.merge(provided) { _, new in new } }
        if let own = event.metadata { merged.merge(own) { _, new in new } }
        if let error = event.error, merged["error"] == nil { merged["error"] = "\(error)" }
        output.write(
            line.render(time: .now, level: event.level, message: event.message.description, metadata: merged),
            to: descriptor
        )
    }
}

extension LogFormat {
    /// What is used when nothing is asked for: `text` on a terminal, `json` elsewhere.
    package static var automatic: LogFormat { isatty(STDERR_FILENO) == 1 ? .text : .json }
}

/// The logging of one run of the tool.
struct LoggingSetup {
    let level: Logger.Level
    let format: LogFormat

    /// Makes the root logger and routes every library's logger to the same lines; called once in a process.
    func start() -> Logger {
        let output = LineOutput()
        let handler = LineLogHandler(level: level, format: format, output: output)
        LoggingSystem.bootstrap { _ in handler }
        return Logger(label: "sluice") { _ in handler }
    }
}
