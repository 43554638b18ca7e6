import CloudEvents
import EventFilters

/// The form in which records lie in the bucket: `{"version":1,"definition":{…},"state":…}`.
extension SubscriptionRecord {
    private static let version = 1

    /// The record as JSON, secrets included; the revision is the bucket's.
    package var json: [UInt8] {
        var object = ObjectWriter([UInt8(ascii: "{")])
        object.member("version", raw: String(Self.version).utf8)
        object.member("definition", raw: SubscriptionWriter.stored(subscription))
        object.member("state", state.name)
        if case .disabled(let reason) = state { object.member("reason", reason) }
        object.member("created", created.text)
        object.member("updated", updated.text)
        object.member("start", raw: String(start).utf8)
        object.member("cursor", raw: String(cursor).utf8)
        object.array("filterSubjects", filterSubjects) { JSONWriter.write($0, into: &$1) }
        object.object("consent") { object in
            object.member("status", consent.status.rawValue)
            if let origin = consent.origin { object.member("origin", origin) }
            if let rate = consent.ratePerMinute { object.member("ratePerMinute", raw: String(rate).utf8) }
            if let digest = consent.callbackDigest { object.member("callbackDigest", digest) }
            if let expiry = consent.callbackExpiry { object.member("callbackExpiry", expiry.text) }
        }
        return object.output + [UInt8(ascii: "}")]
    }

    /// Reads a stored record; `nil` if it is none that this version understands.
    ///
    /// Definitions are read with the rules that hold for all of them: what was taken once is not refused now because an
    /// address or plain HTTP is allowed no more. Who connects decides that again.
    package init?(json: [UInt8], key: SubscriptionKey, revision: UInt64) {
        var reader = DefinitionReader()
        guard let tree = try? JSONTree.parse(json[...]), case .object(let members) = tree else { return nil }
        let object = DefinitionObject(members, at: "", &reader.problems)
        guard let version = object["version"], reader.integer(version, "record", Self.version...Self.version) != nil,
            let definition = object["definition"], case .object(let inner) = definition.value,
            let subscription = reader.storedSubscription(inner, key),
            let state = reader.storedState(object), let created = reader.time(object["created"]),
            let updated = reader.time(object["updated"]), let start = reader.sequence(object["start"]),
            let cursor = reader.sequence(object["cursor"]), let subjects = object["filterSubjects"],
            let subjects = reader.array(subjects, "record", 0...ServerFilter.subjectsMax),
            let consent = reader.consent(object["consent"]), reader.problems.isEmpty
        else { return nil }
        self.init(
            subscription: subscription,
            state: state,
            consent: consent,
            created: created,
            updated: updated,
            start: start,
            cursor: cursor,
            filterSubjects: subjects.compactMap(\.value.text),
            revision: revision
        )
    }
}

extension SubscriptionReader {
    /// What is wrong with a subscription that a program made; what passes can be stored and read again.
    static func violations(of subscription: Subscription) -> [Violation] {
        var reader = DefinitionReader()
        guard let tree = try? JSONTree.parse(SubscriptionWriter.stored(subscription)[...]),
            case .object(let members) = tree
        else { return [Violation(pointer: "", rule: "JSON-02", detail: "cannot be written as JSON")] }
        _ = reader.storedSubscription(members, subscription.key)
        return reader.problems.violations
    }
}

extension DefinitionReader {
    fileprivate mutating func storedSubscription(_ members: [JSONTreeMember], _ key: SubscriptionKey) -> Subscription? {
        let object = DefinitionObject(members, at: "/definition", &problems)
        let rules = SubscriptionReader(sinkRules: SinkRules(allowsHTTP: true))
        isStored = true
        let subscription = subscription(object, id: key.id, tenant: key.tenant, rules)
        return problems.isEmpty ? subscription : nil
    }

    fileprivate mutating func storedState(_ object: DefinitionObject) -> SubscriptionState? {
        switch object["state"]?.value.text {
        case "active": .active
        case "awaiting-consent": .awaitingConsent
        case "paused": .paused
        case "disabled": .disabled(reason: object["reason"]?.value.text ?? "")
        default: nil
        }
    }

    fileprivate func time(_ field: DefinitionField?) -> Timestamp? {
        field?.value.text.flatMap { Timestamp($0) }
    }

    fileprivate func sequence(_ field: DefinitionField?) -> UInt64? {
        guard case .number(let text)? = field?.value else { return nil }
        return UInt64(text)
    }

    fileprivate mutating func consent(_ field: DefinitionField?) -> SinkConsent? {
        guard let field, let object = object(field, "record"), let status = object["status"],
            let status = word(status, "record", of: SinkConsent.Status.self)
        else { return nil }
        var consent = SinkConsent(status)
        consent.origin = object["origin"]?.value.text
        if let rate = object["ratePerMinute"] { consent.ratePerMinute = integer(rate, "record", 1...Int.max) }
        consent.callbackDigest = object["callbackDigest"]?.value.text
        consent.callbackExpiry = time(object["callbackExpiry"])
        return consent
    }
}
