/// Turns text from outside into text that cannot forge a line, move a cursor or hide its direction (S-18).
///
/// Everything that a log line, an error message or a table shows passes through here. Escaped are control characters,
/// format characters (which include every bidirectional control), line and paragraph separators, private-use and
/// unassigned scalars and noncharacters. What is cut is marked with an ellipsis.
package enum SafeText {
    /// How escapes are written.
    package enum Style: Sendable {
        /// For people: `\n`, `\u{1b}`; a backslash is doubled, so that the text can be read back.
        case text
        /// Inside a JSON string (RFC 8259 §7): `\n`, `\u001b`, surrogate pairs above U+FFFF.
        case json
    }

    /// Most bytes of a foreign string that are shown.
    package static let defaultLimit = 256

    /// Returns a copy of `text` that is safe to show to people.
    ///
    /// - Parameters:
    ///   - text: Anything.
    ///   - limit: Most UTF-8 bytes of `text` that are used; cut at a scalar's edge.
    package static func escaped(_ text: String, limit: Int = defaultLimit) -> String {
        var output: [UInt8] = []
        append(text, to: &output, style: .text, limit: limit)
        return String(decoding: output, as: UTF8.self)
    }

    /// Returns `text` escaped and in single quotes, as error messages show a value.
    package static func quoted(_ text: String, limit: Int = 80) -> String {
        "'\(escaped(text, limit: limit))'"
    }

    /// Appends `text`, escaped, to `output`.
    package static func append(_ text: String, to output: inout [UInt8], style: Style, limit: Int = defaultLimit) {
        var text = text
        let fast: Void? = text.withUTF8 { bytes in
            guard bytes.count <= limit, bytes.allSatisfy(isPlain) else { return nil }
            output.append(contentsOf: bytes)
        }
        if fast != nil { return }
        var used = 0
        for scalar in text.unicodeScalars {
            let size = UTF8.width(scalar)
            guard used + size <= limit else {
                output.append(contentsOf: "…".utf8)
                return
            }
            used += size
            append(scalar, to: &output, style: style)
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        byte >= 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private static func append(_ scalar: Unicode.Scalar, to output: inout [UInt8], style: Style) {
        switch scalar {
        case "\\": output.append(contentsOf: #"\\"#.utf8)
        case "\n": output.append(contentsOf: #"\n"#.utf8)
        case "\r": output.append(contentsOf: #"\r"#.utf8)
        case "\t": output.append(contentsOf: #"\t"#.utf8)
        case "\"" where style == .json: output.append(contentsOf: #"\""#.utf8)
        default:
            guard isHidden(scalar) else {
                output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
                return
            }
            switch style {
            case .text: output.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".utf8)
            case .json:
                for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter { appendHex(unit, to: &output) }
            }
        }
    }

    private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value < 0x20 || scalar.value == 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return true
        default: return false
        }
    }

    private static func appendHex(_ unit: UInt16, to output: inout [UInt8]) {
        output.append(contentsOf: #"\u"#.utf8)
        for shift in [12, 8, 4, 0] {
            let digit = UInt8(truncatingIfNeeded: (unit >> UInt16(shift)) & 0xF)
            output.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }
}

extension SafeText {
    /// Returns `text` with the user part of every URL in it replaced: `nats://user:secret@host` is `nats://***@host`.
    ///
    /// The user part ends at the last `@` before the authority's end, so that a password that holds an `@` is hidden too.
    package static func maskingCredentials(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard bytes.contains(UInt8(ascii: "@")) else { return text }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            guard bytes[index...].starts(with: "://".utf8) else {
                output.append(bytes[index])
                index += 1
                continue
            }
            output.append(contentsOf: "://".utf8)
            index += 3
            let authority = bytes[index...].prefix { !isAuthorityEnd($0) }
            if let at = authority.lastIndex(of: UInt8(ascii: "@")) {
                output.append(contentsOf: "***".utf8)
                index = at
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func isAuthorityEnd(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: ","), UInt8(ascii: " "): true
        case UInt8(ascii: "\""), UInt8(ascii: "'"): true
        default: byte < 0x20
        }
    }
}
