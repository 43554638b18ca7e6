import CloudEvents
import EventFilters

/// Reads `config`.
extension DefinitionReader {
    private static let members = [
        "startAt", "maxInFlight", "ackWait", "maxAttempts", "backoff", "ordered", "contentMode", "batch", "deadLetter",
        "signing",
    ]

    mutating func readConfig(
        _ field: DefinitionField,
        _ rules: SubscriptionReader,
        into config: inout SubscriptionConfig
    ) {
        typealias Limits = SubscriptionConfig.Limits
        guard let object = object(field, "config") else { return }
        refuseOthers(in: object, than: Self.members, "config")
        if let field = object["startAt"], let start = start(field) { config.startAt = start }
        if let field = object["maxInFlight"], let value = integer(field, "config", Limits.maxInFlight) {
            config.maxInFlight = value
        }
        if let field = object["ackWait"], let value = seconds(field, "config", Limits.ackWait) {
            config.ackWait = value
        }
        if let field = object["maxAttempts"], let value = integer(field, "config", Limits.maxAttempts) {
            config.maxAttempts = value
        }
        if let field = object["backoff"], let entries = array(field, "config", Limits.backoffEntries) {
            let steps = entries.compactMap { seconds($0, "config", Limits.backoff) }
            if !steps.isEmpty { config.backoff = steps }
        }
        if let field = object["ordered"], flag(field, "config") == true {
            problems.add(field.pointer, "config", "ordered delivery is not supported yet; leave it out or say false")
        }
        readContent(object, into: &config)
        if let field = object["deadLetter"], let inner = self.object(field, "config") {
            refuseOthers(in: inner, than: ["sink"], "config")
            if let field = inner["sink"] { config.deadLetterSink = sink(field, rules.sinkRules) }
        }
        if let field = object["signing"] { readSigning(field, into: &config) }
    }

    private mutating func readContent(_ object: DefinitionObject, into config: inout SubscriptionConfig) {
        typealias Limits = SubscriptionConfig.Limits
        if let field = object["contentMode"] {
            if let content = word(field, "config", of: SubscriptionConfig.Content.self) { config.content = content }
            if config.content == .binary, object["batch"] != nil {
                problems.add(field.pointer, "config", "a batch is always structured")
            }
        } else if object["batch"] != nil {
            config.content = .structured
        }
        guard let field = object["batch"], let inner = self.object(field, "config") else { return }
        refuseOthers(in: inner, than: ["maxEvents", "maxWait"], "config")
        var batch = SubscriptionConfig.Batch(maxEvents: 100, maxWait: .seconds(1))
        if let field = inner["maxEvents"], let value = integer(field, "config", Limits.batchEvents) {
            batch.maxEvents = value
        }
        if let field = inner["maxWait"], let value = seconds(field, "config", Limits.batchWait) {
            batch.maxWait = value
        }
        config.batch = batch
    }

    private mutating func readSigning(_ field: DefinitionField, into config: inout SubscriptionConfig) {
        guard let object = object(field, "config") else { return }
        if let set = object["secretsSet"] {
            problems.add(set.pointer, "config", "secrets are write-only: give them again, or leave out signing")
        }
        refuseOthers(in: object, than: ["secrets", "secretsSet"], "config")
        guard let field = object["secrets"] else {
            return problems.add(ViolationList.pointer(object.pointer, "secrets"), "config", "is required")
        }
        guard let elements = array(field, "config", SubscriptionConfig.Limits.secrets) else { return }
        config.signingSecrets = elements.compactMap { element in
            guard let text = text(element, "config") else { return nil }
            let secret = SigningSecret(text)
            if secret == nil { problems.add(element.pointer, "config", "must be \(SigningSecret.rule)") }
            return secret
        }
    }

    private mutating func start(_ field: DefinitionField) -> SubscriptionConfig.Start? {
        switch field.value {
        case .string("new"): return .new
        case .string("earliest"): return .earliest
        case .number(let text):
            if let sequence = UInt64(text), sequence > 0 { return .sequence(sequence) }
        case .string(let text?):
            if let time = Timestamp(text) {
                if isStored || time <= .now() { return .time(time) }
                problems.add(field.pointer, "config", "lies in the future; 'new' starts with the next event")
                return nil
            }
        default: break
        }
        let forms = "'new', 'earliest', a sequence from 1, or an RFC 3339 time"
        problems.add(field.pointer, "config", "must be \(forms)")
        return nil
    }
}
