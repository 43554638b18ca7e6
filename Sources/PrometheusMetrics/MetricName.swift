/// Makes names valid in the Prometheus data model, https://prometheus.io/docs/concepts/data_model/.
///
/// Colons are valid there but belong to recording rules, so they are replaced too.
enum MetricName {
    private static let lengthMax = 200

    /// A metric name: what is not a letter, digit or underscore becomes an underscore.
    static func metric(_ text: String) -> String {
        isValid(text) ? text : repaired(text)
    }

    /// A counter's name, which ends in `_total`.
    static func counter(_ text: String) -> String {
        with("_total", metric(text))
    }

    /// The name of a histogram of durations, which ends in `_seconds`.
    static func timer(_ text: String) -> String {
        with("_seconds", metric(text))
    }

    /// A label name: as a metric name, without the two leading underscores that Prometheus keeps for itself, and not the
    /// `le` of buckets nor the `quantile` of summaries.
    static func label(_ text: String) -> String {
        var name = metric(text)
        if name.utf8.starts(with: "__".utf8) {
            name = "_" + name.drop { $0 == "_" }
        }
        return name == "le" || name == "quantile" ? name + "_" : name
    }

    private static func with(_ suffix: String, _ name: String) -> String {
        name.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) ? name : name + suffix
    }

    private static func isValid(_ text: String) -> Bool {
        guard let first = text.utf8.first, !isDigit(first), text.utf8.count <= lengthMax else { return false }
        return text.utf8.allSatisfy { isLetter($0) || isDigit($0) }
    }

    private static func repaired(_ text: String) -> String {
        var bytes = text.unicodeScalars.prefix(lengthMax).map { scalar in
            UInt8(exactly: scalar.value).flatMap { isLetter($0) || isDigit($0) ? $0 : nil } ?? UInt8(ascii: "_")
        }
        if bytes.first.map(isDigit) ?? true { bytes.insert(UInt8(ascii: "_"), at: 0) }
        return String(decoding: bytes.prefix(lengthMax), as: UTF8.self)
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z") || byte == UInt8(ascii: "_")
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }
}
