import Logging

/// The log lines about dead letters.
enum DeadLetterLog {
    static func waiting(_ reason: String, _ logger: Logger) {
        logger.warning("the advisories of native consumers cannot be read now", metadata: ["reason": "\(reason)"])
    }

    static func reading(_ logger: Logger) {
        logger.info("reading the advisories of native consumers")
    }

    static func malformed(_ sequence: UInt64, _ subject: String, _ logger: Logger) {
        logger.error(
            "an advisory cannot be read and is passed over",
            metadata: ["sequence": "\(sequence)", "subject": "\(subject.prefix(200))"]
        )
    }

    static func expired(_ key: SubscriptionKey, _ sequence: UInt64, _ logger: Logger) {
        logger.error(
            "an event left its stream before it was delivered",
            metadata: ["subscription": "\(key)", "sequence": "\(sequence)"]
        )
    }

    static func refused(_ key: SubscriptionKey, _ sequence: UInt64, _ reason: String, _ logger: Logger) {
        logger.error(
            "the dead letter of an event cannot be stored",
            metadata: ["subscription": "\(key)", "sequence": "\(sequence)", "reason": "\(reason)"]
        )
    }
}
