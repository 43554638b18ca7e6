package import CloudEvents

/// Gathers everything that is wrong with a definition, with JSON Pointers (RFC 6901).
///
/// At most ``violationsMax`` are kept, so that a hostile text cannot ask for a huge answer.
package struct ViolationList: Sendable {
    package static let violationsMax = InvalidEvent.violationsMax

    /// What was found, in order.
    package private(set) var violations: [Violation] = []
    /// How many more there were.
    package private(set) var omitted = 0

    package init() {}

    package var isEmpty: Bool { violations.isEmpty }

    /// Notes one problem.
    ///
    /// Whatever `detail` takes from outside must go through ``shown(_:)``.
    package mutating func add(_ pointer: String, _ rule: String, _ detail: String) {
        guard violations.count < Self.violationsMax else {
            omitted += 1
            return
        }
        violations.append(Violation(pointer: pointer, rule: rule, detail: detail))
    }

    /// Notes the problems of a part.
    package mutating func add(contentsOf part: ViolationList) {
        for violation in part.violations { add(violation.pointer, violation.rule, violation.detail) }
        omitted += part.omitted
    }

    /// A text from outside in single quotes, made safe to show: cut, and everything unusual escaped.
    package static func shown(_ text: String) -> String {
        var result = "'"
        for (index, scalar) in text.unicodeScalars.enumerated() {
            if index == 80 { return result + "…'" }
            let isPlain = scalar.isASCII && scalar.value >= 0x20 && scalar.value != 0x7F
            if isPlain, scalar != "'", scalar != "\\" {
                result.unicodeScalars.append(scalar)
            } else if scalar.properties.isAlphabetic, !scalar.isASCII {
                result.unicodeScalars.append(scalar)
            } else {
                result += "\\u{" + String(scalar.value, radix: 16, uppercase: true) + "}"
            }
        }
        return result + "'"
    }

    /// A pointer to a member of what `pointer` points to; long names are cut.
    package static func pointer(_ pointer: String, _ name: String) -> String {
        var result = pointer + "/"
        for (index, scalar) in name.unicodeScalars.enumerated() {
            if index == 256 { return result + "…" }
            switch scalar {
            case "~": result += "~0"
            case "/": result += "~1"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
