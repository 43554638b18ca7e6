import Glibc
package import Logging

/// The log handler of the command line: renders a line and leaves it to a queue, so that a call never waits.
package struct LineLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let line: LogLine
    private let queue: LogQueue

    /// Makes a handler.
    ///
    /// - Parameters:
    ///   - level: The least level that is written.
    ///   - format: How lines look.
    ///   - queue: Shared by all handlers of one descriptor: it keeps lines whole and in order.
    package init(level: Logger.Level, format: LogFormat, queue: LogQueue) {
        logLevel = level
        line = LogLine(format: format)
        self.queue = queue
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
        queue.append(
            line.render(time: .now, level: event.level, message: event.message.description, metadata: merged)
        )
    }
}

extension LogFormat {
    /// What is used when nothing is asked for: `text` on a terminal, `json` elsewhere.
    package static var automatic: LogFormat { isatty(STDERR_FILENO) == 1 ? .text : .json }
}

/// The logging of one run of the tool, to standard error.
struct ProcessLog {
    /// The root logger.
    let logger: Logger
    private let queue: LogQueue

    /// Routes every library's logger to the same lines; called once in a process.
    ///
    /// - Throws: ``CommandFailure`` when the thread that writes cannot be started.
    static func start(level: Logger.Level, format: LogFormat) throws(CommandFailure) -> ProcessLog {
        do {
            let queue = try LogQueue(descriptor: STDERR_FILENO, format: format)
            let handler = LineLogHandler(level: level, format: format, queue: queue)
            LoggingSystem.bootstrap { _ in handler }
            return ProcessLog(logger: Logger(label: "sluice") { _ in handler }, queue: queue)
        } catch {
            throw CommandFailure("the log cannot be started: \(error.reason)", code: ExitStatus.unavailable)
        }
    }

    /// Waits until what was logged is written, but at most a second: before the process ends, or says something itself.
    func flush() {
        queue.flush(within: .seconds(1))
    }
}

extension ProcessLog {
    /// The log that a configuration asks for.
    static func start(_ configuration: Configuration) throws(CommandFailure) -> ProcessLog {
        try start(level: configuration.logLevel, format: configuration.logFormat ?? .automatic)
    }
}
