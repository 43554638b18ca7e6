import CloudEvents
import EventFilters

/// Reads `protocolsettings` and `sinkcredential`.
extension DefinitionReader {
    mutating func readSettings(_ field: DefinitionField, into subscription: inout Subscription) {
        guard let object = object(field, "SUB-18") else { return }
        switch subscription.deliveryProtocol {
        // What a NATS client has to know is ours to say; who sends it back means no harm.
        case .nats, .handler: return
        case .pull: refuseOthers(in: object, than: [], "SUB-18")
        case .http:
            refuseOthers(in: object, than: ["headers", "method"], "SUB-18")
            if let field = object["method"], let method = text(field, "HOOK-02"), !CodeUnits.equal(method, "POST") {
                problems.add(field.pointer, "HOOK-02", "deliveries are always sent with POST")
            }
            if let field = object["headers"] { subscription.settings.headers = headers(field) }
        }
    }

    private mutating func headers(_ field: DefinitionField) -> [ProtocolSettings.Header] {
        guard let object = object(field, "SUB-18") else { return [] }
        let limit = SubscriptionConfig.Limits.headers
        guard object.all.count <= limit else {
            problems.add(field.pointer, "SUB-18", "there are more than \(limit) headers")
            return []
        }
        var headers: [ProtocolSettings.Header] = []
        var seen: Set<String> = []
        for (name, field) in object.all {
            if name.lowercased() == "authorization" {
                problems.add(field.pointer, "SUB-18", "is shown to every reader here; use sinkcredential")
            } else if !checkName(name, field.pointer, "SUB-18") {
                continue
            } else if !seen.insert(name.lowercased()).inserted {
                problems.add(field.pointer, "SUB-18", "the header is there twice")
            } else if let value = value(field, "SUB-18") {
                headers.append(.init(name: name, value: value))
            }
        }
        return headers
    }

    private mutating func checkName(_ name: String, _ pointer: String, _ rule: String) -> Bool {
        guard HeaderSyntax.isName(name) else {
            problems.add(pointer, rule, "is no name of a header field (RFC 9110 section 5.6.2)")
            return false
        }
        guard let objection = HeaderSyntax.objection(to: name) else { return true }
        problems.add(pointer, rule, "the header \(ViolationList.shown(name)) \(objection)")
        return false
    }

    private mutating func value(_ field: DefinitionField, _ rule: String) -> String? {
        guard let text = text(field, rule) else { return nil }
        if HeaderSyntax.isValue(text) { return text }
        problems.add(field.pointer, rule, "is no value of a header field: printable ASCII, no blank at either end")
        return nil
    }

    private enum CredentialType: String, CaseIterable {
        case plain = "PLAIN"
        case accessToken = "ACCESSTOKEN"
        case header = "HEADER"
    }

    mutating func credential(_ field: DefinitionField) -> SinkCredential? {
        guard let object = object(field, "SUB-20") else { return nil }
        guard let kind = object["credentialtype"] else {
            problems.add(ViolationList.pointer(field.pointer, "credentialtype"), "SUB-20", "is required")
            return nil
        }
        guard let type = word(kind, "SUB-20", of: CredentialType.self) else { return nil }
        switch type {
        case .plain: return plain(object)
        case .accessToken: return accessToken(object)
        case .header:
            let name = required("name", of: object).flatMap { field -> String? in
                guard let text = text(field, "SUB-20"), checkName(text, field.pointer, "SUB-20") else { return nil }
                return text
            }
            let content = required("value", of: object).flatMap { value($0, "SUB-20") }
            guard let name, let content else { return nil }
            return .header(name: name, value: content)
        }
    }

    private mutating func plain(_ object: DefinitionObject) -> SinkCredential? {
        let identifier = required("identifier", of: object).flatMap { field -> String? in
            guard let text = text(field, "SUB-20") else { return nil }
            if !text.utf8.contains(UInt8(ascii: ":")), Self.isWithoutControls(text) { return text }
            problems.add(field.pointer, "SUB-20", "must hold neither ':' nor control characters (RFC 7617)")
            return nil
        }
        let secret = required("secret", of: object).flatMap { field -> String? in
            guard let text = text(field, "SUB-20") else { return nil }
            if Self.isWithoutControls(text) { return text }
            problems.add(field.pointer, "SUB-20", "must not hold control characters (RFC 7617)")
            return nil
        }
        guard let identifier, let secret else { return nil }
        return .plain(identifier: identifier, secret: secret)
    }

    private mutating func accessToken(_ object: DefinitionObject) -> SinkCredential? {
        if let field = object["accesstokentype"], let type = text(field, "SUB-20"), type.lowercased() != "bearer" {
            problems.add(field.pointer, "SUB-20", "only tokens of the type Bearer are supported")
        }
        var expires: Timestamp?
        if let field = object["accesstokenexpiresutc"], let text = text(field, "SUB-20") {
            expires = Timestamp(text)
            if expires == nil { problems.add(field.pointer, "SUB-20", "is not an RFC 3339 time") }
        }
        guard let field = required("accesstoken", of: object), let token = value(field, "SUB-20") else { return nil }
        guard !token.utf8.contains(UInt8(ascii: " ")), !token.utf8.contains(0x09) else {
            problems.add(field.pointer, "SUB-20", "must not hold blanks")
            return nil
        }
        return .accessToken(token, expires: expires)
    }

    private mutating func required(_ name: String, of object: DefinitionObject) -> DefinitionField? {
        if let field = object[name] { return field }
        let isSet = object["secretSet"] != nil
        let hint = isSet ? "is required: secrets are write-only, and a definition replaces the whole" : "is required"
        problems.add(ViolationList.pointer(object.pointer, name), "SUB-20", hint)
        return nil
    }

    private static func isWithoutControls(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
    }
}
