/// The settings of a pull consumer, as far as Sluice uses them.
package struct ConsumerConfiguration: Sendable, Equatable {
    /// Where in the stream it begins.
    package enum Start: Sendable, Equatable {
        case all
        case new
        case sequence(UInt64)
        /// RFC 3339.
        case time(String)
        /// The newest message of every subject, then everything new.
        case lastPerSubject
    }

    /// Nil for an ephemeral consumer, which the server names.
    package var name: ConsumerName?
    /// Whether it outlives its users; needs a name.
    package var isDurable = true
    /// Words for people; not compared.
    package var description = ""
    /// The subjects wanted; empty for all.
    ///
    /// More than one needs nats-server 2.10.
    package var filterSubjects: [SubjectFilter] = []
    package var start = Start.all
    /// How long the server waits for an acknowledgement before it delivers again.
    package var ackWait: Duration = .seconds(30)
    /// Deliveries of one message at most; -1 is no limit.
    package var maxDeliver = -1
    /// Messages delivered and not acknowledged, at most.
    package var maxAckPending = 100_000
    /// Pull requests waiting at the server, at most.
    package var maxWaiting = 512
    /// An unused consumer is deleted after so long; nil: a durable one never, an ephemeral one after the server's 5 s.
    package var inactiveThreshold: Duration?
    /// Whether every message must be acknowledged, or none.
    package var acknowledges = true
    /// Copies in a cluster; nil for as many as the stream has.
    package var replicas: Int?
    /// Whether its state is kept in memory only.
    package var memoryStorage = false

    /// A durable consumer of everything, with explicit acknowledgements.
    package init(name: ConsumerName?) {
        self.name = name
        isDurable = name != nil
    }

    /// What differs from what was found, field by field in the API's names; empty if all is as wanted.
    ///
    /// Limits that only the server's own rules change (`max_waiting`, `inactive_threshold`) are not compared, nor is a
    /// start time, which the server writes in its own form.
    package func differences(from actual: ConsumerConfiguration) -> [FieldDifference] {
        zip(fields, actual.fields).filter { $0.value != $1.value }.map {
            FieldDifference(field: $0.name, expected: $0.value, actual: $1.value)
        }
    }

    private var fields: [(name: String, value: String)] {
        [
            ("durable_name", isDurable ? name?.text ?? "" : ""),
            ("filter_subjects", filterSubjects.map(\.text).sorted().joined(separator: ", ")),
            ("deliver_policy", startText), ("ack_policy", acknowledges ? "explicit" : "none"),
            ("ack_wait", acknowledges ? "\(ackWait)" : ""), ("max_deliver", maxDeliver < 1 ? "-1" : "\(maxDeliver)"),
            ("max_ack_pending", acknowledges ? "\(maxAckPending)" : ""), ("mem_storage", "\(memoryStorage)"),
        ]
    }

    private var startText: String {
        switch start {
        case .all: "all"
        case .new: "new"
        case .sequence(let sequence): "from sequence \(sequence)"
        case .time: "from a time"
        case .lastPerSubject: "last per subject"
        }
    }
}

/// A consumer's settings and how far it is.
package struct ConsumerInfo: Sendable, Equatable {
    /// The consumer's name, also of an ephemeral one.
    package let name: ConsumerName
    package let configuration: ConsumerConfiguration
    /// Settings found that no consumer of ours has: `deliver_subject` (push), `backoff`, `sample_freq`, `headers_only`.
    package internal(set) var otherFeatures: [String] = []
    /// When it was created, RFC 3339 as the server wrote it.
    package internal(set) var created = ""
    /// Stream sequence of the newest message delivered.
    package internal(set) var deliveredStreamSequence: UInt64 = 0
    package internal(set) var deliveredConsumerSequence: UInt64 = 0
    /// Everything up to this stream sequence is acknowledged.
    package internal(set) var ackFloorStreamSequence: UInt64 = 0
    package internal(set) var ackFloorConsumerSequence: UInt64 = 0
    /// Messages not delivered yet (`num_pending`).
    package internal(set) var pending: UInt64 = 0
    /// Messages delivered and not acknowledged.
    package internal(set) var ackPending = 0
    /// Messages delivered more than once and not acknowledged.
    package internal(set) var redelivered = 0
    /// Pull requests waiting.
    package internal(set) var waiting = 0
}
