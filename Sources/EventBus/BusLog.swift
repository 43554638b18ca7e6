import JetStream
import Logging

/// The bus's log lines: every message and metadata key once, in one place.
enum BusLog {
    static func event(_ event: JetStream.LogEvent, _ logger: Logger) {
        let level: Logger.Level =
            switch event.level {
            case .debug: .debug
            case .info: .info
            case .warning: .warning
            case .error: .error
            }
        var metadata: Logger.Metadata = ["component": "jetstream"]
        for (name, value) in event.metadata { metadata[name] = "\(value)" }
        logger.log(level: level, "\(event.message)", metadata: metadata)
    }

    static func created(_ stream: String, wasThere: Bool, _ logger: Logger) {
        if wasThere {
            logger.error("a stream was deleted, and is made anew, empty", metadata: ["stream": "\(stream)"])
        } else {
            logger.info("created stream", metadata: ["stream": "\(stream)"])
        }
    }

    static func updated(_ stream: String, _ differences: [String], _ logger: Logger) {
        logger.warning(
            "updated stream",
            metadata: ["stream": "\(stream)", "changes": "\(differences.joined(separator: "; "))"]
        )
    }

    static func fault(_ fault: BusStatus.StreamFault, _ logger: Logger) {
        logger.error(
            "stream differs from its configuration",
            metadata: [
                "stream": "\(fault.stream)", "differences": "\(fault.differences.joined(separator: "; "))",
            ]
        )
    }

    static func verified(_ logger: Logger) {
        logger.info("streams verified")
    }

    static func oldServer(_ version: String, _ logger: Logger) {
        logger.warning(
            "this nats-server may discard the oldest events when the stream reaches MAX_BYTES; use 2.10 or later",
            metadata: ["server_version": "\(version)"]
        )
    }

    static func oldCluster(_ version: String, _ logger: Logger) {
        logger.warning(
            "a cluster of this nats-server may lose acknowledged events when leaders change; use 2.10 or later",
            metadata: ["server_version": "\(version)"]
        )
    }

    static func full(_ share: Double, _ logger: Logger) {
        logger.warning(
            "the event stream is nearly full",
            metadata: ["percent": "\(Int(share * 100))"]
        )
    }
}
