/// Pieces of the text format 0.0.4, https://prometheus.io/docs/instrumenting/exposition_formats/.
enum TextFormat {
    /// A label value as it stands between quotes: backslash, quote and newline escaped, other control characters
    /// replaced by U+FFFD, because not every parser takes them.
    static func labelValue(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F || $0 == quote || $0 == backslash }) else {
            return text
        }
        return escaped(text, quotes: true)
    }

    /// A description: backslash and newline escaped, other control characters replaced.
    static func help(_ text: String) -> String {
        escaped(text, quotes: false)
    }

    private static let quote = UInt8(ascii: "\"")
    private static let backslash = UInt8(ascii: "\\")

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\"" where quotes: out += "\\\""
            case "\0"..<" ", "\u{7F}": out += "\u{FFFD}"
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// A number as Go's `ParseFloat` reads it; integers below 2^63 in digits only.
    static func number(_ value: Double) -> String {
        if value.magnitude < 0x1p63, value == value.rounded(.towardZero) { return String(Int64(value)) }
        if value.isFinite { return value.description }
        return value.isNaN ? "NaN" : value < 0 ? "-Inf" : "+Inf"
    }

    /// Everything of a sample's line before its value.
    ///
    /// - Parameter labels: Name, equals sign and quoted value of each, with commas between; empty for none.
    static func head(_ name: String, labels: String) -> [UInt8] {
        Array((labels.isEmpty ? "\(name) " : "\(name){\(labels)} ").utf8)
    }
}

/// Sample lines as they are appended to a body.
extension [UInt8] {
    mutating func appendSample(_ head: [UInt8], _ value: UInt64) {
        append(contentsOf: head)
        append(contentsOf: String(value).utf8)
        append(UInt8(ascii: "\n"))
    }

    mutating func appendSample(_ head: [UInt8], _ value: Double) {
        append(contentsOf: head)
        append(contentsOf: TextFormat.number(value).utf8)
        append(UInt8(ascii: "\n"))
    }
}
