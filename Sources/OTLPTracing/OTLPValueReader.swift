/// Reads the values of OpenTelemetry's variables and collects what is wrong with them.
struct OTLPValueReader {
    private let values: [String: String]
    private(set) var problems: [OTLPConfigurationError.Problem] = []

    init(values: [String: String]) { self.values = values }

    mutating func note(_ variable: OTLPVariable, _ reason: String) {
        problems.append(.init(variable: variable.rawValue, reason: reason))
    }

    /// A value without the blanks around it; nil if it is empty.
    func text(_ variable: OTLPVariable) -> String? {
        guard let text = values[variable.rawValue] else { return nil }
        let trimmed = KeyValueText.trimmed(Substring(text))
        return trimmed.isEmpty ? nil : String(trimmed)
    }

    /// The one for traces as it is, else the base with `/v1/traces` (OTLP exporter specification).
    mutating func endpoint() -> CollectorEndpoint? {
        if let exact = text(.tracesEndpoint) {
            return read(.tracesEndpoint) { () throws(CollectorEndpoint.Fault) in try CollectorEndpoint(url: exact) }
        }
        guard let base = text(.endpoint) else {
            note(.endpoint, "is missing")
            return nil
        }
        return read(.endpoint) { () throws(CollectorEndpoint.Fault) in try CollectorEndpoint(base: base) }
    }

    private mutating func read(
        _ variable: OTLPVariable,
        _ make: () throws(CollectorEndpoint.Fault) -> CollectorEndpoint
    ) -> CollectorEndpoint? {
        do throws(CollectorEndpoint.Fault) {
            return try make()
        } catch {
            note(variable, error.reason)
            return nil
        }
    }

    /// What the framing of a request consists of, or belongs to the connection.
    private static let ownFields: Set<String> = [
        "host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "te",
        "trailer", "upgrade", "keep-alive", "expect", "proxy-connection",
    ]

    mutating func headers() -> [(name: String, value: String)] {
        let variable = text(.tracesHeaders) != nil ? OTLPVariable.tracesHeaders : .headers
        var fields: [(name: String, value: String)] = []
        for (key, value) in pairs(variable) {
            if !key.utf8.allSatisfy(HTTPText.isTokenByte) {
                note(variable, "names a header field that cannot be one")
            } else if Self.ownFields.contains(key.lowercased()) {
                note(variable, "must not set the header field `\(key.lowercased())`")
            } else if !value.utf8.allSatisfy(HTTPText.isFieldByte) {
                note(variable, "has a value for `\(key)` with a character that header fields cannot carry")
            } else {
                fields.append((key, value))
            }
        }
        return fields
    }

    /// Most attributes of the resource.
    private static let resourceAttributesMax = 128

    mutating func resourceAttributes() -> [String: String] {
        let pairs = pairs(.resourceAttributes)
        if pairs.count > Self.resourceAttributesMax {
            note(.resourceAttributes, "has more than \(Self.resourceAttributesMax) attributes")
        }
        if pairs.contains(where: { $0.key.utf8.count > 255 || $0.value.utf8.count > 4096 }) {
            note(.resourceAttributes, "has a name above 255 bytes or a value above 4096 bytes")
        }
        return Dictionary(pairs, uniquingKeysWith: { $1 })
    }

    private mutating func pairs(_ variable: OTLPVariable) -> [(key: String, value: String)] {
        guard let text = text(variable) else { return [] }
        do throws(KeyValueText.Fault) {
            return try KeyValueText.pairs(text)
        } catch {
            note(variable, "must be like `key=value,key2=value2`: item \(error.item) \(error.reason)")
            return []
        }
    }

    mutating func sampler() -> OTLPSampler {
        let name = text(.sampler) ?? "parentbased_always_on"
        let isParentBased = name.hasPrefix("parentbased_")
        switch isParentBased ? name.dropFirst("parentbased_".count) : name[...] {
        case "always_on": return OTLPSampler(root: .alwaysOn, isParentBased: isParentBased)
        case "always_off": return OTLPSampler(root: .alwaysOff, isParentBased: isParentBased)
        case "traceidratio": return OTLPSampler(root: .ratio(ratio()), isParentBased: isParentBased)
        default:
            let names = ["always_on", "always_off", "traceidratio"]
            let known = (names + names.map { "parentbased_" + $0 }).joined(separator: ", ")
            note(.sampler, "must be one of \(known)")
            return .standard
        }
    }

    /// 1 unless it is given (OpenTelemetry SDK configuration).
    private mutating func ratio() -> Double {
        guard let text = text(.samplerArgument) else { return 1 }
        if let ratio = Double(text), (0...1).contains(ratio) { return ratio }
        note(.samplerArgument, "must be a number from 0 to 1")
        return 1
    }

    mutating func milliseconds(_ variable: OTLPVariable) -> Duration? {
        count(variable, 1...3_600_000).map { .milliseconds($0) }
    }

    mutating func count(_ variable: OTLPVariable, _ range: ClosedRange<Int>) -> Int? {
        guard let text = text(variable) else { return nil }
        if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text), range.contains(number) {
            return number
        }
        note(variable, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        return nil
    }

    mutating func checkProtocolAndCompression() {
        for variable in [OTLPVariable.transport, .tracesTransport] {
            guard let text = text(variable), text != "http/protobuf" else { continue }
            note(variable, "must be http/protobuf: no other protocol is supported")
        }
        for variable in [OTLPVariable.compression, .tracesCompression] {
            guard let text = text(variable), text != "none" else { continue }
            note(variable, "must be none: compression is not supported")
        }
    }
}
