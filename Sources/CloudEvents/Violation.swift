/// One broken rule: where, of which attribute, which rule, and why in a sentence.
///
/// The text of `detail` is safe to log and to show: everything that came from outside is quoted, escaped and cut short.
public struct Violation: Sendable, Hashable {
    /// Where the problem is, as a JSON Pointer (RFC 6901).
    ///
    /// In the JSON formats it points into the text (`/source`, `/3/time`, or the empty string for the whole text); in
    /// the header bindings it is `/headers/<lower-case field name>`, or `/body` for the data.
    public let pointer: String
    /// The name of the attribute concerned, if the problem belongs to one.
    public let attribute: String?
    /// The rule's short name, such as `CE-17`, `JSON-08` or `HTTP-15`.
    public let rule: String
    /// The problem as a sentence for a human reader.
    public let detail: String

    /// Creates a violation from its parts, kept as they are.
    public init(pointer: String, attribute: String? = nil, rule: String, detail: String) {
        self.pointer = pointer
        self.attribute = attribute
        self.rule = rule
        self.detail = detail
    }
}

/// An event that breaks the specification, with all of its problems at once.
public struct InvalidEvent: Error, Sendable, Hashable, CustomStringConvertible {
    /// At most this many violations are listed, so that a hostile text cannot ask for a huge answer.
    public static let violationsMax = 64

    /// The problems in the order in which they were found; never empty.
    public let violations: [Violation]
    /// How many more problems were found than are listed.
    public let omitted: Int

    /// Creates an error from one violation or several; those beyond ``violationsMax`` are only counted.
    public init(_ first: Violation, _ others: [Violation] = []) {
        violations = [first] + others.prefix(Self.violationsMax - 1)
        omitted = max(0, others.count - (Self.violationsMax - 1))
    }

    init?(_ problems: Problems) {
        guard !problems.listed.isEmpty else { return nil }
        violations = problems.listed
        omitted = problems.omitted
    }

    /// The violations as one line, safe to log.
    public var description: String {
        let lines = violations.map { "\($0.rule) at \"\(Quoting.escape($0.pointer))\": \($0.detail)" }
        let rest = omitted > 0 ? ["and \(omitted) more"] : []
        return "invalid CloudEvent: " + (lines + rest).joined(separator: "; ")
    }
}

/// Collects violations up to the bound and counts the rest.
///
/// Costs nothing while there are none.
struct Problems {
    private(set) var listed: [Violation] = []
    private(set) var omitted = 0

    var isEmpty: Bool { listed.isEmpty }

    /// Notes one problem; the violation is not built when the list is full.
    mutating func add(_ violation: @autoclosure () -> Violation) {
        guard listed.count < InvalidEvent.violationsMax else {
            omitted += 1
            return
        }
        listed.append(violation())
    }
}

/// Makes text from outside fit to be shown in a message.
enum Quoting {
    /// Longest piece of foreign text that is shown, in Unicode scalars.
    static let scalarsMax = 80

    /// The text in single quotes, escaped and cut.
    static func quote(_ text: String) -> String {
        "'" + escape(text) + "'"
    }

    /// Replaces everything but printable ASCII and plain letters by `\u{…}` and cuts long text with an ellipsis.
    static func escape(_ text: String) -> String {
        var result = ""
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < scalarsMax else { return result + "…" }
            count += 1
            if isShown(scalar) {
                result.unicodeScalars.append(scalar)
            } else {
                result += "\\u{" + String(scalar.value, radix: 16, uppercase: true) + "}"
            }
        }
        return result
    }

    private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII {
            return scalar.value >= 0x20 && scalar.value != 0x7F && scalar != "\\" && scalar != "'"
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .otherLetter, .decimalNumber: return true
        default: return false
        }
    }
}

/// Where an event is read from, which decides what a pointer looks like.
enum Place {
    /// A JSON text that is one event.
    case document
    /// An element of a batch.
    case element(Int)
    /// Header fields beside a body.
    case headers
    /// An initialiser call.
    case value

    /// The pointer to an attribute, or to a member of the JSON text.
    func pointer(_ name: String) -> String {
        switch self {
        case .document, .value: "/" + Self.escaped(name)
        case .element(let index): "/\(index)/" + Self.escaped(name)
        case .headers: "/headers/ce-" + Self.escaped(name)
        }
    }

    /// The pointer to the event as a whole.
    var whole: String {
        if case .element(let index) = self { "/\(index)" } else { "" }
    }

    /// The pointer to the data.
    var data: String {
        if case .headers = self { "/body" } else { pointer("data") }
    }

    /// The name as a reference token of RFC 6901, cut after 256 scalars.
    private static func escaped(_ name: String) -> String {
        var result = ""
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
