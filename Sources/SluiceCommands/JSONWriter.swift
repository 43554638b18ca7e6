/// Writes a flat JSON object, member by member: enough for the tool's own answers.
package struct JSONWriter: Sendable {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]

    /// Starts an empty object.
    package init() {}

    /// Adds a member with a string value; nothing is cut.
    package mutating func add(_ name: String, _ value: String) {
        addName(name)
        bytes.append(UInt8(ascii: "\""))
        SafeText.append(value, to: &bytes, style: .json, limit: .max)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Adds a member with a whole number.
    package mutating func add(_ name: String, _ value: Int) {
        add(name, json: String(value))
    }

    /// Adds a member with a number of at most `digits` decimals; what is not finite becomes `null`.
    package mutating func add(_ name: String, _ value: Double, digits: Int) {
        add(name, json: value.isFinite ? Decimals.text(value, digits: digits) : "null")
    }

    /// Adds a member whose value is JSON already.
    package mutating func add(_ name: String, json: String) {
        addName(name)
        bytes.append(contentsOf: json.utf8)
    }

    private mutating func addName(_ name: String) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        bytes.append(UInt8(ascii: "\""))
        SafeText.append(name, to: &bytes, style: .json, limit: .max)
        bytes.append(contentsOf: "\":".utf8)
    }

    /// The object, closed.
    package var text: String { String(decoding: bytes, as: UTF8.self) + "}" }
}

/// Numbers with a fixed count of decimals, without Foundation.
package enum Decimals {
    /// Returns `value` rounded to `digits` decimals (0 to 9), for example `12.50`.
    package static func text(_ value: Double, digits: Int) -> String {
        let scale = (0..<max(0, min(digits, 9))).reduce(1.0) { product, _ in product * 10 }
        let scaled = (abs(value) * scale).rounded()
        guard scaled.isFinite, scaled < 1e18 else { return "\(value)" }
        let whole = Int64(scaled)
        let unit = Int64(scale)
        let sign = value < 0 && whole > 0 ? "-" : ""
        guard unit > 1 else { return "\(sign)\(whole)" }
        let fraction = String(whole % unit)
        let zeros = String(repeating: "0", count: max(0, digits - fraction.count))
        return "\(sign)\(whole / unit).\(zeros)\(fraction)"
    }

    /// Returns a whole number with a comma between groups of three digits.
    package static func grouped(_ value: Int) -> String {
        var digits = Array(String(value.magnitude))
        var index = digits.count - 3
        while index > 0 {
            digits.insert(",", at: index)
            index -= 3
        }
        return (value < 0 ? "-" : "") + String(digits)
    }
}
