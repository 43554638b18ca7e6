import Logging
import NIOCore

/// Says when export fails and when it works again; at most one line a minute for what goes on failing.
struct ExportLog {
    private static let interval = TimeAmount.minutes(1)

    private let logger: Logger
    private let collector: String
    private var isFailing = false
    private var quietUntil = NIODeadline.uptimeNanoseconds(0)
    private var droppedSince: UInt64 = 0

    init(logger: Logger, endpoint: CollectorEndpoint) {
        self.logger = logger
        collector = endpoint.authority
    }

    mutating func failed(_ reason: String, dropped: UInt64) {
        droppedSince &+= dropped
        guard !isFailing || NIODeadline.now() >= quietUntil else { return }
        isFailing = true
        warn("traces cannot be exported", ["reason": "\(reason)"])
    }

    mutating func partial(rejected: UInt64, message: String) {
        droppedSince &+= rejected
        guard NIODeadline.now() >= quietUntil else { return }
        warn("the collector refused some spans", ["reason": "\(message)"])
    }

    mutating func succeeded() {
        guard isFailing else { return }
        isFailing = false
        logger.info("traces are exported again", metadata: ["collector": "\(collector)", "dropped": "\(droppedSince)"])
        droppedSince = 0
    }

    private mutating func warn(_ text: Logger.Message, _ metadata: Logger.Metadata) {
        quietUntil = .now() + Self.interval
        let more: Logger.Metadata = ["collector": "\(collector)", "dropped": "\(droppedSince)"]
        logger.warning(text, metadata: metadata.merging(more) { $1 })
        droppedSince = 0
    }
}
