import Foundation

/// A stored event as read back from the stream: CloudEvents JSON, decoded by the tests' own reader.
package struct StoredEvent: Sendable {
    /// Attributes in canonical text.
    package private(set) var attributes: [String: String] = [:]
    /// The JSON type of each attribute: `String`, `Integer` or `Boolean`.
    package private(set) var types: [String: String] = [:]
    /// The payload's bytes, decoded; empty for none.
    package private(set) var data: [UInt8] = []
    /// The same, with the white space that stood around a JSON value.
    private var paddedData: [UInt8] = []

    /// - Throws: when the payload is not one CloudEvent in the JSON format, as strictly as the format says it.
    package init(payload: [UInt8]) throws {
        let json = try WireJSON(parsing: payload)
        guard case .object(let members) = json, Set(members.map { Array($0.name.utf8) }).count == members.count
        else { throw StoredEventError("not an object, or a member is repeated") }
        for (name, value) in members where name != "data" && name != "data_base64" {
            switch value {
            case .null: continue
            case .string(let text): (attributes[name], types[name]) = (text, "String")
            case .bool(let flag): (attributes[name], types[name]) = (flag ? "true" : "false", "Boolean")
            case .number(let lexeme):
                guard lexeme.utf8.allSatisfy({ (48...57).contains($0) || $0 == 45 }) else {
                    throw StoredEventError("\(name) is \(lexeme), not an integer by its lexeme")
                }
                (attributes[name], types[name]) = (lexeme, "Integer")
            default: throw StoredEventError("\(name) is an object or an array")
            }
        }
        try readData(json, payload: payload)
    }

    private mutating func readData(_ json: WireJSON, payload: [UInt8]) throws {
        if let encoded = json.member("data_base64"), !encoded.isNull {
            guard json.member("data") == nil, let text = encoded.string, let decoded = Data(base64Encoded: text) else {
                throw StoredEventError("data_base64 is not base64, or stands beside data")
            }
            data = Array(decoded)
        } else if let value = json.member("data") {
            if let text = value.string, !Self.isJSON(attributes["datacontenttype"]) {
                data = Array(text.utf8)
            } else if let span = WireJSON.span(ofMember: "data", in: payload) {
                data = Array(payload[span.trimmed])
                paddedData = Array(payload[span.padded])
            }
        }
        if paddedData.isEmpty { paddedData = data }
    }

    /// Whether a media type means JSON; none at all does too (JSON format, 3.1).
    private static func isJSON(_ mediaType: String?) -> Bool {
        guard let mediaType else { return true }
        let bare = mediaType.split(separator: ";").first?.trimmingCharacters(in: .whitespaces).lowercased() ?? ""
        return bare.hasSuffix("/json") || bare.hasSuffix("+json")
    }

    /// What differs from the expectation, in words; empty when it is as expected.
    package func differences(from expected: CorpusEvent) -> [String] {
        var found: [String] = []
        if let wanted = expected.attributes {
            for (name, value) in wanted where !isEqual(name, attributes[name], value) {
                found.append("\(name): stored \(attributes[name].debugDescription), expected \(value.debugDescription)")
            }
            for (name, value) in attributes where wanted[name] == nil && expected.implied[name] != value {
                found.append("\(name): stored \(value.debugDescription), not sent")
            }
        }
        for (name, type) in expected.types where types[name] != type {
            found.append("\(name): stored as \(types[name] ?? "nothing"), expected \(type)")
        }
        if !isDataEqual(expected) {
            found.append("data: stored \(String(decoding: data, as: UTF8.self).debugDescription)")
        }
        return found
    }

    private func isDataEqual(_ expected: CorpusEvent) -> Bool {
        switch expected.comparison {
        case "skip": return true
        case "json":
            guard let left = try? WireJSON(parsing: data), let right = try? WireJSON(parsing: expected.data) else {
                return data == expected.data
            }
            return left.isSameValue(as: right)
        default: return data == expected.data || paddedData == expected.data
        }
    }

    private func isEqual(_ name: String, _ stored: String?, _ wanted: String) -> Bool {
        guard let stored else { return false }
        if name == "time", let left = Instant(stored), let right = Instant(wanted) { return left == right }
        return Array(stored.utf8) == Array(wanted.utf8)
    }
}

/// Why a stored payload is not a CloudEvent.
package struct StoredEventError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A point in time at any precision, from RFC 3339 text; a leap second is kept apart from the second after it.
struct Instant: Equatable {
    private let seconds: Int
    private let fraction: String
    private let isLeap: Bool

    init?(_ text: String) {
        let upper = text.uppercased()
        let pattern = #/(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)/#
        guard let match = upper.wholeMatch(of: pattern)?.output,
            let year = Int(match.1), let month = Int(match.2), let day = Int(match.3),
            let hour = Int(match.4), let minute = Int(match.5), let second = Int(match.6)
        else { return nil }
        var offset = 0
        if match.8 != "Z", let hours = Int(match.8.dropFirst().prefix(2)), let minutes = Int(match.8.suffix(2)) {
            offset = (hours * 60 + minutes) * (match.8.hasPrefix("-") ? -60 : 60)
        }
        isLeap = second == 60
        let time = hour * 3600 + minute * 60 + min(second, 59)
        seconds = Self.days(year, month, day) * 86_400 + time - offset
        var digits = match.7.map(String.init) ?? ""
        while digits.hasSuffix("0") { digits.removeLast() }
        fraction = digits
    }

    /// Days since 1 March of the year 0, in the proleptic Gregorian calendar.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month > 2 ? year : year - 1
        let months = (month + 9) % 12
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (months * 153 + 2) / 5 + day
    }
}
