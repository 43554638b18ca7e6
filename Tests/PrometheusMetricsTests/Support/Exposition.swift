import PrometheusMetrics

/// A body in the text format 0.0.4, read strictly: what a parser might refuse is an error, and so is a repeated series.
struct Exposition {
    /// One sample line.
    struct Sample: Equatable {
        let name: String
        let labels: [String: String]
        /// As it is written.
        let value: String
    }

    /// Why a body is not valid.
    struct Malformed: Error, CustomStringConvertible {
        let line: String
        let why: String
        var description: String { "\(why): \(line)" }
    }

    private(set) var samples: [Sample] = []
    private(set) var types: [String: String] = [:]
    private(set) var help: [String: String] = [:]

    init(_ registry: PrometheusRegistry) throws(Malformed) {
        try self.init(registry.render())
    }

    init(_ body: [UInt8]) throws(Malformed) {
        guard let text = String(validating: body, as: UTF8.self) else {
            throw Malformed(line: "", why: "not UTF-8")
        }
        guard text.isEmpty || body.last == 10 else { throw Malformed(line: "", why: "the last line does not end") }
        var heads: Set<Substring> = []
        var current = ""
        for line in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            let line = Substring(line)
            if line.hasPrefix("# ") {
                current = try readComment(line, current: current)
                continue
            }
            let sample = try Self.sample(line)
            guard heads.insert(line[..<(line.lastIndex(of: " ") ?? line.endIndex)]).inserted else {
                throw Malformed(line: String(line), why: "a series twice")
            }
            let suffixes = types[current] == "histogram" ? ["_bucket", "_sum", "_count"] : [""]
            guard suffixes.contains(where: { current + $0 == sample.name }) else {
                throw Malformed(line: String(line), why: "a sample outside its metric \(current)")
            }
            samples.append(sample)
        }
    }

    private mutating func readComment(_ line: Substring, current: String) throws(Malformed) -> String {
        let words = line.split(separator: " ", maxSplits: 3).map(String.init)
        guard words.count == 4, words[1] == "HELP" || words[1] == "TYPE" else {
            throw Malformed(line: String(line), why: "an unknown comment")
        }
        let (name, text) = (words[2], words[3])
        if words[1] == "HELP" {
            guard help.updateValue(text, forKey: name) == nil else {
                throw Malformed(line: String(line), why: "described twice")
            }
        } else {
            guard types.updateValue(text, forKey: name) == nil, help[name] != nil else {
                throw Malformed(line: String(line), why: "typed twice, or before its description")
            }
        }
        return name
    }

    private static func sample(_ line: Substring) throws(Malformed) -> Sample {
        func malformed(_ why: String) -> Malformed { Malformed(line: String(line), why: why) }
        let name = line.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
        var rest = line[name.endIndex...]
        guard let first = name.first, !first.isNumber else { throw malformed("a bad name") }
        var labels: [String: String] = [:]
        if rest.first == "{" {
            repeat {
                rest = rest.dropFirst()
                let label = rest.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
                rest = rest[label.endIndex...]
                guard let first = label.first, !first.isNumber, !label.hasPrefix("__"), rest.hasPrefix("=\"") else {
                    throw malformed("a bad label")
                }
                let (value, after) = try unquoted(rest.dropFirst(2))
                guard !value.isEmpty, labels.updateValue(value, forKey: String(label)) == nil else {
                    throw malformed("an empty or repeated label")
                }
                rest = after
            } while rest.first == ","
            guard rest.first == "}" else { throw malformed("labels without an end") }
            rest = rest.dropFirst()
        }
        let value = rest.dropFirst()
        guard rest.first == " ", !value.isEmpty, Double(value) != nil || ["+Inf", "-Inf", "NaN"].contains(value) else {
            throw malformed("a bad value")
        }
        return Sample(name: String(name), labels: labels, value: String(value))
    }

    /// Reads to the closing quote.
    private static func unquoted(_ text: Substring) throws(Malformed) -> (String, Substring) {
        var out = ""
        var scalars = text.unicodeScalars
        while let scalar = scalars.popFirst() {
            switch scalar {
            case "\"": return (out, Substring(scalars))
            case "\\":
                switch scalars.popFirst() {
                case "n": out += "\n"
                case "\\": out += "\\"
                case "\"": out += "\""
                default: throw Malformed(line: String(text), why: "a bad escape")
                }
            default: out.unicodeScalars.append(scalar)
            }
        }
        throw Malformed(line: String(text), why: "a value without an end")
    }

    /// The value of one series as it is written; nil if there is none.
    func value(_ name: String, _ labels: [String: String] = [:]) -> String? {
        samples.first { $0.name == name && $0.labels == labels }?.value
    }

    /// The values of a label in a metric, in order.
    func values(of label: String, in name: String) -> [String] {
        samples.filter { $0.name == name }.compactMap { $0.labels[label] }
    }
}
