/// Makes words of others fit for a log or an answer.
enum FailureText {
    /// At most `count` characters of `text`, those that are not visible ASCII replaced.
    static func clean(_ text: String, _ count: Int = 160) -> String {
        String(
            decoding: text.utf8.prefix(count).map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") },
            as: UTF8.self
        )
    }
}
