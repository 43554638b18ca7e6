import Logging

/// The registry's log lines.
enum SubscriptionLog {
    static func watchLost(_ reason: String, _ logger: Logger) {
        logger.warning("subscriptions are not being watched; trying again", metadata: ["reason": "\(reason)"])
    }

    static func notOpened(_ reason: String, _ logger: Logger) {
        logger.warning("the bucket of subscriptions cannot be opened; trying again", metadata: ["reason": "\(reason)"])
    }

    static func current(_ count: Int, _ logger: Logger) {
        logger.info("subscriptions read", metadata: ["count": "\(count)"])
    }

    static func unreadable(_ key: String, _ revision: UInt64, _ logger: Logger) {
        logger.error(
            "a stored subscription cannot be read and is left as it was",
            metadata: ["key": "\(key)", "revision": "\(revision)"]
        )
    }

    static func consumer(_ what: String, _ key: SubscriptionKey, from start: UInt64, _ logger: Logger) {
        logger.info("\(what) consumer", metadata: ["subscription": "\(key)", "from_sequence": "\(start)"])
    }

    static func consumerLost(_ key: SubscriptionKey, cursor: UInt64, _ logger: Logger) {
        logger.error(
            "a subscription's consumer has gone without us; it is made again from the last known floor",
            metadata: ["subscription": "\(key)", "from_sequence": "\(cursor)"]
        )
    }

    static func streamReplaced(_ key: SubscriptionKey, cursor: UInt64, last: UInt64, _ logger: Logger) {
        logger.error(
            "the event stream ends before what was delivered: it was made anew, and delivery begins with its first event",
            metadata: ["subscription": "\(key)", "cursor": "\(cursor)", "last_sequence": "\(last)"]
        )
    }

    static func consumerFailed(_ key: SubscriptionKey, _ reason: String, _ logger: Logger) {
        logger.warning(
            "a subscription's consumer could not be brought up to date; tried again later",
            metadata: ["subscription": "\(key)", "reason": "\(reason)"]
        )
    }

    static func orphan(_ name: String, _ logger: Logger) {
        logger.info("deleted the consumer of a subscription that is no more", metadata: ["consumer": "\(name)"])
    }
}
