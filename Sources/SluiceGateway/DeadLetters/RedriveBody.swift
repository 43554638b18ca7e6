import DeliveryRules
import EventBus
import EventFilters

/// The body of `POST /v1/dead-letters:redrive`: `sequences` or `filter`, and how.
///
/// Read strictly, since a member that is ignored could put back everything; all that is wrong is told at once.
struct RedriveBody {
    static let bytesMax = 1 << 20
    private static let sequencesMax = 10_000
    private static let known = ["sequences", "filter", "dryRun", "limit", "ratePerSecond", "force"]

    private var problems = ViolationList()
    private var sequences: [UInt64]?
    private var filter: DeadLetterBox.Filter?
    private var isDryRun = false
    private var isForced = false
    private var limit: Int?
    private var ratePerSecond: Int?

    static func read(_ body: [UInt8], tenant: TenantName) throws(Problem) -> RedriveRequest {
        let members = try RequestReading.object(body, what: "the body")
        var reader = RedriveBody()
        reader.take(members)
        if reader.problems.isEmpty, (reader.sequences == nil) == (reader.filter == nil) {
            let fault =
                reader.filter == nil
                ? "one of sequences and filter is required" : "sequences and filter exclude each other"
            reader.problems.add("", "redrive", fault)
        }
        if !reader.problems.isEmpty { throw Problem(.invalidRequest, reader.problems) }
        let selection: RedriveRequest.Selection =
            if let sequences = reader.sequences { .sequences(sequences) } else { .filter(reader.filter ?? .init()) }
        var request = RedriveRequest(tenant: tenant, selection: selection)
        request.isDryRun = reader.isDryRun
        request.isForced = reader.isForced
        if let limit = reader.limit { request.limit = limit }
        request.ratePerSecond = reader.ratePerSecond
        return request
    }

    private mutating func take(_ members: [JSONTreeMember]) {
        var seen: Set<String> = []
        for member in members {
            guard let name = member.name, Self.known.contains(name) else {
                refuseUnknown(member.name, "", Self.known)
                continue
            }
            let pointer = "/\(name)"
            guard seen.insert(name).inserted else {
                problems.add(pointer, "redrive", "is there more than once")
                continue
            }
            if case .null = member.value { continue }
            switch name {
            case "sequences": takeSequences(member.value)
            case "filter": takeFilter(member.value)
            case "dryRun": isDryRun = flag(member.value, pointer)
            case "force": isForced = flag(member.value, pointer)
            case "limit": limit = integer(member.value, pointer, 1...1_000_000_000)
            default: ratePerSecond = integer(member.value, pointer, 1...1_000_000)
            }
        }
    }

    private mutating func takeSequences(_ value: JSONTree) {
        guard case .array(let elements) = value, (1...Self.sequencesMax).contains(elements.count) else {
            return problems.add("/sequences", "redrive", "must be an array of 1 to \(Self.sequencesMax) sequences")
        }
        sequences = []
        for (index, element) in elements.enumerated() {
            if case .number(let text) = element, let sequence = UInt64(text), sequence > 0 {
                sequences?.append(sequence)
            } else {
                problems.add("/sequences/\(index)", "redrive", "must be a whole number from 1")
            }
        }
    }

    private mutating func takeFilter(_ value: JSONTree) {
        guard case .object(let members) = value else {
            return problems.add("/filter", "redrive", "must be an object, not \(value.kindName)")
        }
        var filter = DeadLetterBox.Filter()
        var seen: Set<String> = []
        for member in members {
            guard let name = member.name, name == "subscription" || name == "reason" else {
                refuseUnknown(member.name, "/filter", ["subscription", "reason"])
                continue
            }
            let pointer = "/filter/\(name)"
            guard seen.insert(name).inserted else {
                problems.add(pointer, "redrive", "is there more than once")
                continue
            }
            if case .null = member.value { continue }
            guard let text = member.value.text else {
                problems.add(pointer, "redrive", "must be a string, not \(member.value.kindName)")
                continue
            }
            if name == "subscription" {
                filter.subscription = SubscriptionName(text)
                if filter.subscription == nil {
                    problems.add(pointer, "redrive", "is not a subscription's id: \(SubscriptionName.rule)")
                }
            } else {
                filter.reason = DeadLetterReason(rawValue: text)
                if filter.reason == nil {
                    problems.add(pointer, "redrive", "is unknown; known: \(DeadLetterReason.list)")
                }
            }
        }
        self.filter = filter
    }

    private mutating func refuseUnknown(_ name: String?, _ pointer: String, _ known: [String]) {
        let name = name ?? "?"
        let detail = "unknown member \(ViolationList.shown(name)); known: \(known.joined(separator: ", "))"
        problems.add(ViolationList.pointer(pointer, name), "redrive", detail)
    }

    private mutating func flag(_ value: JSONTree, _ pointer: String) -> Bool {
        if case .boolean(let flag) = value { return flag }
        problems.add(pointer, "redrive", "must be true or false, not \(value.kindName)")
        return false
    }

    private mutating func integer(_ value: JSONTree, _ pointer: String, _ range: ClosedRange<Int>) -> Int? {
        if case .number(let text) = value, let number = Int(text), range.contains(number) { return number }
        problems.add(pointer, "redrive", "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        return nil
    }
}
