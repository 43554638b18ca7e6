import DeliveryRules
import JetStream

/// A settlement that one replica asks another for: lines of text, the subscription's consumer, the verb with its delay in
/// milliseconds, then a line for each lock.
struct SettleQuestion: Sendable {
    let key: SubscriptionKey
    let verb: SettleVerb
    let locks: [LockMachine.Lock]

    /// More locks than a client can name in one call.
    private static let locksMax = 10_000

    /// Where a replica is asked.
    static func subject(_ replica: String) -> ServiceSubject {
        ServiceSubject(prefix: .literal("sluice"), tokens: ["locks", replica])
    }

    init(key: SubscriptionKey, verb: SettleVerb, locks: [LockMachine.Lock]) {
        self.key = key
        self.verb = verb
        self.locks = locks
    }

    var bytes: [UInt8] {
        var text = "\(key.durableName)\n"
        switch verb {
        case .acknowledge: text += "acknowledge 0\n"
        case .release(let delay): text += "release \(delay.nanosecondsBounded / 1_000_000)\n"
        case .reject: text += "reject 0\n"
        case .renew: text += "renew 0\n"
        }
        for lock in locks { text += "\(lock.sequence) \(lock.delivery) \(lock.number)\n" }
        return Array(text.utf8)
    }

    /// Reads a question; nil for anything else.
    init?(_ bytes: [UInt8]) {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard lines.count >= 2, lines.count <= Self.locksMax, let key = SubscriptionKey(durableName: String(lines[0]))
        else { return nil }
        let words = lines[1].split(separator: " ")
        guard words.count == 2, let milliseconds = Int64(words[1]), milliseconds >= 0 else { return nil }
        switch words[0] {
        case "acknowledge": verb = .acknowledge
        case "release": verb = .release(delay: .milliseconds(milliseconds))
        case "reject": verb = .reject
        case "renew": verb = .renew
        default: return nil
        }
        self.key = key
        var locks: [LockMachine.Lock] = []
        for line in lines.dropFirst(2) {
            let numbers = line.split(separator: " ").compactMap { UInt64($0) }
            guard numbers.count == 3, let delivery = Int(exactly: numbers[1]) else { return nil }
            locks.append(LockMachine.Lock(sequence: numbers[0], delivery: delivery, number: numbers[2]))
        }
        self.locks = locks
    }
}

/// The answer: a line for each lock.
enum SettleAnswer {
    static func bytes(_ outcomes: [TokenOutcome]) -> [UInt8] {
        var text = ""
        for outcome in outcomes {
            switch outcome {
            case .succeeded(let seconds): text += "succeeded \(seconds ?? -1)\n"
            case .failed(.badToken): text += "bad\n"
            case .failed(.lost): text += "lost\n"
            case .failed(.unknown): text += "unknown\n"
            }
        }
        return Array(text.utf8)
    }

    /// Reads an answer about `count` locks; nil for anything else.
    static func read(_ bytes: [UInt8], count: Int) -> [TokenOutcome]? {
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard lines.count == count else { return nil }
        return lines.map { line in
            let words = line.split(separator: " ")
            switch words.first {
            case "succeeded":
                let seconds = words.count > 1 ? Int64(words[1]) : nil
                return .succeeded(lockedForSeconds: seconds.flatMap { $0 < 0 ? nil : $0 })
            case "bad": return .failed(.badToken)
            case "lost": return .failed(.lost)
            default: return .failed(.unknown)
            }
        }
    }
}

extension Duration {
    /// Whole nanoseconds from 0 to about a century.
    var nanosecondsBounded: Int64 {
        let (seconds, attoseconds) = components
        if seconds < 0 { return 0 }
        return min(seconds, 3_000_000_000) * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}
