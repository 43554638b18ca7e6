/// The core attributes other than `specversion`'s value, in the order in which the JSON format writes them.
enum CoreAttribute: UInt8 {
    case specversion, id, source, type, subject, time, datacontenttype, dataschema

    var name: String {
        switch self {
        case .specversion: "specversion"
        case .id: "id"
        case .source: "source"
        case .type: "type"
        case .subject: "subject"
        case .time: "time"
        case .datacontenttype: "datacontenttype"
        case .dataschema: "dataschema"
        }
    }

    /// The rule that an empty value breaks.
    var emptinessRule: String {
        switch self {
        case .specversion: "CE-20"
        case .id: "CE-17"
        case .source: "CE-18"
        case .type: "CE-21"
        case .subject: "CE-25"
        case .time: "CE-26"
        case .datacontenttype: "CE-22"
        case .dataschema: "CE-24"
        }
    }
}

/// What a name at the top level of an event stands for.
enum MemberName {
    case core(CoreAttribute)
    case data
    case dataBase64
    case other

    /// Tells a name by its bytes: length first, then one comparison.
    @inline(__always)
    init(_ name: Bytes) {
        self = .other
        switch name.count {
        case 2: if name.equals("id") { self = .core(.id) }
        case 4:
            if name.equals("type") {
                self = .core(.type)
            } else if name.equals("time") {
                self = .core(.time)
            } else if name.equals("data") {
                self = .data
            }
        case 6: if name.equals("source") { self = .core(.source) }
        case 7: if name.equals("subject") { self = .core(.subject) }
        case 10: if name.equals("dataschema") { self = .core(.dataschema) }
        case 11:
            if name.equals("specversion") {
                self = .core(.specversion)
            } else if name.equals("data_base64") {
                self = .dataBase64
            }
        case 15: if name.equals("datacontenttype") { self = .core(.datacontenttype) }
        default: break
        }
    }
}

/// The rules for names and texts that every format and binding shares.
enum AttributeRules {
    /// Tells whether a name is made of `a`–`z` and `0`–`9` only and has at least one character (CE-03).
    static func isName(_ name: Bytes) -> Bool {
        !name.isEmpty && name.allSatisfy { (0x61...0x7A).contains($0) || $0.isDigit }
    }

    /// The rule a text breaks as a String of the CloudEvents type system, with a sentence; `nil` if it breaks none.
    static func fault(in text: String) -> (rule: String, detail: String)? {
        for scalar in text.unicodeScalars {
            let value = scalar.value
            if value < 0x20 || (0x7F...0x9F).contains(value) {
                return ("CE-09", "the text holds the control character \(name(of: value))")
            }
            if (0xFDD0...0xFDEF).contains(value) || value & 0xFFFE == 0xFFFE {
                return ("CE-10", "the text holds the noncharacter \(name(of: value))")
            }
        }
        return nil
    }

    private static func name(of value: UInt32) -> String {
        let digits = String(value, radix: 16, uppercase: true)
        return "U+" + String(repeating: "0", count: max(0, 4 - digits.utf8.count)) + digits
    }
}

/// Finds the first byte that needs a closer look, eight bytes at a time.
enum PlainText {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080

    /// The index of the first byte from `start` that is `"`, `special`, DEL, a control or not ASCII; `end` if none is.
    @inline(__always)
    static func end(_ base: UnsafePointer<UInt8>, from start: Int, to end: Int, special: UInt8) -> Int {
        var index = start
        let specials = ones &* UInt64(special)
        while index + 8 <= end {
            let word = UInt64(littleEndian: UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self))
            let quote = word ^ (ones &* 0x22)
            let delete = word ^ (ones &* 0x7F)
            let other = word ^ specials
            let zeros = ((quote &- ones) & ~quote) | ((delete &- ones) & ~delete) | ((other &- ones) & ~other)
            let found = (zeros | word | ((word &- (ones &* 0x20)) & ~word)) & highs
            if found != 0 { return index + found.trailingZeroBitCount >> 3 }
            index += 8
        }
        while index < end {
            let byte = base[index]
            if byte < 0x20 || byte > 0x7E || byte == 0x22 || byte == special { return index }
            index += 1
        }
        return end
    }
}
