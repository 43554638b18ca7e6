public import CloudEvents
import EventFilters

/// Reads the definition of a subscription from JSON and tells everything that is wrong with it at once.
///
/// Unknown members at the top level are ignored, unknown ones of `config` and of the settings are violations; `null`
/// counts as left out. A definition is always whole: who replaces a subscription and leaves out a secret, which is never
/// shown, has a subscription without it. Violations never show what may be a secret.
public struct SubscriptionReader: Sendable {
    /// Which sinks are taken.
    public var sinkRules: SinkRules
    /// What is configured where the definition says nothing.
    public var defaults: SubscriptionConfig

    /// A reader with these rules.
    public init(sinkRules: SinkRules = SinkRules(), defaults: SubscriptionConfig = SubscriptionConfig()) {
        self.sinkRules = sinkRules
        self.defaults = defaults
    }

    /// Reads a definition.
    ///
    /// - Parameters:
    ///   - id: What the subscription is called; an `id` in the text is ignored (SUB-02), unless `mustNameItself`.
    ///   - tenant: Whose it is.
    ///   - mustNameItself: Whether an `id` in the text has to be `id`, as in a PUT.
    /// - Throws: ``InvalidSubscription``.
    public func read(
        _ json: ArraySlice<UInt8>,
        id: SubscriptionName,
        tenant: TenantName,
        mustNameItself: Bool = false
    ) throws(InvalidSubscription) -> Subscription {
        var reader = DefinitionReader()
        let members = try Self.members(json)
        let object = DefinitionObject(members, at: "", &reader.problems)
        if mustNameItself, let field = object["id"], field.value.text.map({ CodeUnits.equal($0, id.text) }) != true {
            reader.problems.add(field.pointer, "SUB-02", "the id cannot be changed; it is '\(id)'")
        }
        let subscription = reader.subscription(object, id: id, tenant: tenant, self)
        guard reader.problems.isEmpty else { throw InvalidSubscription(reader.problems) }
        return subscription
    }

    private static func members(_ json: ArraySlice<UInt8>) throws(InvalidSubscription) -> [JSONTreeMember] {
        var problems = ViolationList()
        guard json.count <= SubscriptionConfig.Limits.bodyBytes else {
            problems.add("", "SUB-02", "is longer than \(SubscriptionConfig.Limits.bodyBytes) bytes")
            throw InvalidSubscription(problems)
        }
        let tree: JSONTree
        do {
            tree = try JSONTree.parse(json)
        } catch {
            problems.add("", "JSON-02", "is not JSON: \(error.sentence)")
            throw InvalidSubscription(problems)
        }
        guard case .object(let members) = tree else {
            problems.add("", "SUB-02", "a subscription is a JSON object, not \(tree.kindName)")
            throw InvalidSubscription(problems)
        }
        return members
    }
}

/// A definition that cannot be taken, with everything that is wrong with it.
public struct InvalidSubscription: Error, Sendable, Hashable, CustomStringConvertible {
    /// The problems in order, at most 64 and never empty; pointers go into the definition.
    public let violations: [Violation]

    init(_ problems: ViolationList) {
        violations = problems.violations
    }

    /// The violations as one line, safe to log.
    public var description: String {
        let list = violations.map { "\($0.rule) at \"\($0.pointer)\": \($0.detail)" }
        return "invalid subscription: " + list.joined(separator: "; ")
    }
}

extension DefinitionReader {
    /// Reads the top level; where something is wrong there is a violation, and the result is of no use.
    mutating func subscription(
        _ object: DefinitionObject,
        id: SubscriptionName,
        tenant: TenantName,
        _ rules: SubscriptionReader
    ) -> Subscription {
        var subscription = Subscription(id: id, tenant: tenant, config: rules.defaults)
        if let field = object["source"] { subscription.source = source(field) }
        if let field = object["types"] { subscription.types = types(field) }
        if let field = object["filters"] {
            subscription.filter = EventFilter(reading: field.value, at: field.pointer, &problems) ?? .everything
        }
        if let field = object["filter"] {
            problems.add(field.pointer, "SUB-02", "the member is called filters")
        }
        let known = readProtocol(object, into: &subscription)
        if let field = object["config"] { readConfig(field, rules, into: &subscription.config) }
        guard known else { return subscription }
        if let field = object["protocolsettings"] { readSettings(field, into: &subscription) }
        readSink(object, rules, into: &subscription)
        refuseForProtocol(object, subscription)
        return subscription
    }

    private mutating func source(_ field: DefinitionField) -> String? {
        guard let text = text(field, "SUB-02") else { return nil }
        guard URISyntax.isReference(text) else {
            problems.add(field.pointer, "SUB-02", "is not a URI-reference (RFC 3986)")
            return nil
        }
        return text
    }

    private mutating func types(_ field: DefinitionField) -> [TypePattern] {
        let elements = array(field, "SUB-02", 1...SubscriptionConfig.Limits.types) ?? []
        return elements.compactMap { element -> TypePattern? in
            guard let text = text(element, "SUB-02", bytesMax: TypePattern.bytesMax) else { return nil }
            do throws(InvalidTypePattern) {
                return try TypePattern(text)
            } catch {
                problems.add(element.pointer, "SUB-02", error.detail)
                return nil
            }
        }
    }

    /// Tells whether a protocol is named that the API knows.
    private mutating func readProtocol(_ object: DefinitionObject, into subscription: inout Subscription) -> Bool {
        guard let field = object["protocol"] else {
            problems.add("/protocol", "SUB-02", "is required: 'HTTP', 'PULL' or 'NATS'")
            return false
        }
        guard let text = text(field, "SUB-02") else { return false }
        guard let found = DeliveryProtocol(rawValue: text), isStored || found != .handler else {
            let shown = ViolationList.shown(text)
            problems.add(field.pointer, "SUB-02", "is \(shown); possible: 'HTTP', 'PULL', 'NATS', case-sensitive")
            return false
        }
        subscription.deliveryProtocol = found
        return true
    }

    private mutating func readSink(
        _ object: DefinitionObject,
        _ rules: SubscriptionReader,
        into subscription: inout Subscription
    ) {
        let isPushed = subscription.deliveryProtocol == .http
        let name = subscription.deliveryProtocol.rawValue
        switch (object["sink"], isPushed) {
        case (nil, true): problems.add("/sink", "SUB-02", "is required with the protocol HTTP")
        case (let field?, true): subscription.sink = sink(field, rules.sinkRules)
        case (let field?, false): problems.add(field.pointer, "SUB-02", "the protocol \(name) has no sink")
        case (nil, false): break
        }
        guard let field = object["sinkcredential"] else { return }
        guard isPushed else {
            return problems.add(field.pointer, "SUB-20", "the protocol \(name) has no sink to show it to")
        }
        subscription.sinkCredential = credential(field)
        guard let name = subscription.sinkCredential?.field.name.lowercased() else { return }
        for header in subscription.settings.headers where header.name.lowercased() == name {
            let pointer = ViolationList.pointer("/protocolsettings/headers", header.name)
            problems.add(pointer, "SUB-18", "is the header of the credential too")
        }
    }

    /// What this protocol cannot do.
    private mutating func refuseForProtocol(_ object: DefinitionObject, _ subscription: Subscription) {
        guard subscription.deliveryProtocol != .http else { return }
        let name = subscription.deliveryProtocol.rawValue
        if subscription.config.batch != nil {
            problems.add("/config/batch", "config", "batches are for the protocol HTTP, not \(name)")
        }
        if !subscription.config.signingSecrets.isEmpty {
            problems.add("/config/signing", "config", "signatures are for the protocol HTTP, not \(name)")
        }
        guard subscription.deliveryProtocol == .nats, problems.isEmpty else { return }
        for reason in ServerFilter.objectionsToNative(subscription) {
            problems.add(reason.pointer, "SUB-19", reason.detail)
        }
    }
}
