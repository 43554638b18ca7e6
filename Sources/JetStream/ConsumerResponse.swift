extension APIResponse {
    static func consumerInfo(_ bytes: [UInt8]) throws(JetStreamError) -> ConsumerInfo {
        var configuration = ConsumerConfiguration(name: nil)
        var settings = ConsumerSettings()
        var name = ""
        var state = ConsumerState()
        var seen = false
        try read(bytes) { reader, member in
            switch member {
            case "config":
                seen = true
                return reader.readObject { reader, member in settings.readMember(member, &reader) }
            case "name": return reader.read(into: &name)
            default: return state.readMember(member, &reader)
            }
        }
        guard seen, let name = ConsumerName(name) else { throw .badResponse("no consumer of a name we use in it") }
        settings.apply(to: &configuration, name)
        var info = ConsumerInfo(name: name, configuration: configuration)
        info.otherFeatures = settings.otherFeatures
        state.apply(to: &info)
        return info
    }

    /// Of a page of names: how many there are in all, and those of the page.
    static func consumerNames(_ bytes: [UInt8]) throws(JetStreamError) -> (total: Int, names: [String]) {
        var total = 0
        var names: [String] = []
        try read(bytes) { reader, member in
            switch member {
            case "total": return reader.read(into: &total)
            case "consumers":
                if reader.readNull() { return true }
                return reader.readArray { reader in
                    guard let name = reader.readString() else { return false }
                    names.append(name)
                    return true
                }
            default: return reader.skipValue()
            }
        }
        return (total, names)
    }

    /// The member `success` of an answer.
    static func success(_ bytes: [UInt8]) throws(JetStreamError) -> Bool {
        var success = false
        try read(bytes) { reader, member in
            member == "success" ? reader.read(into: &success) : reader.skipValue()
        }
        return success
    }
}

/// A consumer's settings as the server writes them.
private struct ConsumerSettings {
    private var durable = ""
    private var filters: [String] = []
    private var policy = "all"
    private var sequence: UInt64 = 0
    private var startTime = ""
    private var acknowledges = "explicit"
    private var ackWait = Duration.zero
    private var maxDeliver = -1
    private var maxAckPending = 0
    private var maxWaiting = 0
    private var inactiveThreshold = Duration.zero
    private var replicas = 0
    private var memory = false
    private var description = ""
    var otherFeatures: [String] = []

    mutating func readMember(_ member: String, _ reader: inout JSONReader) -> Bool {
        switch member {
        case "durable_name": return reader.read(into: &durable)
        case "description": return reader.read(into: &description)
        case "filter_subject":
            guard let filter = reader.readString() else { return false }
            if !filter.isEmpty { filters = [filter] }
            return true
        case "filter_subjects":
            if reader.readNull() { return true }
            return reader.readArray { reader in
                guard let filter = reader.readString() else { return false }
                filters.append(filter)
                return true
            }
        case "deliver_policy": return reader.read(into: &policy)
        case "opt_start_seq": return reader.read(into: &sequence)
        case "opt_start_time": return reader.readNull() || reader.read(into: &startTime)
        case "ack_policy": return reader.read(into: &acknowledges)
        case "ack_wait": return reader.read(into: &ackWait)
        case "max_deliver": return reader.read(into: &maxDeliver)
        case "max_ack_pending": return reader.read(into: &maxAckPending)
        case "max_waiting": return reader.read(into: &maxWaiting)
        case "inactive_threshold": return reader.read(into: &inactiveThreshold)
        case "num_replicas": return reader.read(into: &replicas)
        case "mem_storage": return reader.read(into: &memory)
        case "deliver_subject", "deliver_group", "backoff", "sample_freq", "headers_only", "rate_limit_bps",
            "flow_control", "idle_heartbeat", "pause_until", "priority_groups":
            if reader.readNull() { return true }
            otherFeatures.append(member)
            return reader.skipValue()
        default: return reader.skipValue()
        }
    }

    func apply(to configuration: inout ConsumerConfiguration, _ name: ConsumerName) {
        configuration.name = name
        configuration.isDurable = !durable.isEmpty
        configuration.description = description
        configuration.filterSubjects = filters.filter { $0 != ">" }.map(SubjectFilter.init(found:))
        configuration.start =
            switch policy {
            case "new": .new
            case "by_start_sequence": .sequence(sequence)
            case "by_start_time": .time(startTime)
            case "last_per_subject": .lastPerSubject
            default: .all
            }
        configuration.acknowledges = acknowledges != "none"
        configuration.ackWait = ackWait
        configuration.maxDeliver = maxDeliver < 1 ? -1 : maxDeliver
        configuration.maxAckPending = maxAckPending
        configuration.maxWaiting = maxWaiting
        configuration.inactiveThreshold = inactiveThreshold == .zero ? nil : inactiveThreshold
        configuration.replicas = replicas == 0 ? nil : replicas
        configuration.memoryStorage = memory
    }
}

/// How far a consumer is, as the server writes it.
private struct ConsumerState {
    private var created = ""
    private var delivered = (consumer: UInt64(0), stream: UInt64(0))
    private var floor = (consumer: UInt64(0), stream: UInt64(0))
    private var pending: UInt64 = 0
    private var ackPending = 0
    private var redelivered = 0
    private var waiting = 0

    mutating func readMember(_ member: String, _ reader: inout JSONReader) -> Bool {
        switch member {
        case "created": return reader.read(into: &created)
        case "delivered": return Self.readPair(&reader, into: &delivered)
        case "ack_floor": return Self.readPair(&reader, into: &floor)
        case "num_pending": return reader.read(into: &pending)
        case "num_ack_pending": return reader.read(into: &ackPending)
        case "num_redelivered": return reader.read(into: &redelivered)
        case "num_waiting": return reader.read(into: &waiting)
        default: return reader.skipValue()
        }
    }

    private static func readPair(
        _ reader: inout JSONReader,
        into pair: inout (consumer: UInt64, stream: UInt64)
    ) -> Bool {
        reader.readObject { reader, member in
            switch member {
            case "consumer_seq": reader.read(into: &pair.consumer)
            case "stream_seq": reader.read(into: &pair.stream)
            default: reader.skipValue()
            }
        }
    }

    func apply(to info: inout ConsumerInfo) {
        info.created = created
        (info.deliveredConsumerSequence, info.deliveredStreamSequence) = delivered
        (info.ackFloorConsumerSequence, info.ackFloorStreamSequence) = floor
        info.pending = pending
        info.ackPending = ackPending
        info.redelivered = redelivered
        info.waiting = waiting
    }
}
