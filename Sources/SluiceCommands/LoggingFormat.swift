import Glibc
package import Logging

/// How a log line is written.
package enum LogFormat: String, Sendable, CaseIterable {
    /// For people: time, level, message, `key=value`.
    case text
    /// For machines: one JSON object per line with `ts`, `level`, `msg`, then the metadata.
    case json
}

/// Renders log lines: exactly one line each, whatever the strings in it hold (S-18).
///
/// The message is cut at 1,024 bytes (it is ours, with foreign parts in it), every metadata key and value at 256;
/// at most 64 metadata entries are shown, nested at most 4 deep. Values under a name that promises a secret, and the
/// user part of URLs, are replaced by `***`.
package struct LogLine: Sendable {
    package static let messageLimit = 1024
    package static let entriesMax = 64
    package static let depthMax = 4

    let format: LogFormat

    package init(format: LogFormat) {
        self.format = format
    }

    /// Returns the line with its line feed.
    package func render(
        time: LogTime,
        level: Logger.Level,
        message: String,
        metadata: Logger.Metadata
    ) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(256)
        switch format {
        case .json: renderJSON(time, level, message, metadata, into: &line)
        case .text: renderText(time, level, message, metadata, into: &line)
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }

    private func renderJSON(
        _ time: LogTime,
        _ level: Logger.Level,
        _ message: String,
        _ metadata: Logger.Metadata,
        into line: inout [UInt8]
    ) {
        line.append(contentsOf: #"{"ts":""#.utf8)
        line.append(contentsOf: time.text.utf8)
        line.append(contentsOf: #"","level":""#.utf8)
        line.append(contentsOf: level.rawValue.utf8)
        line.append(contentsOf: #"","msg":"#.utf8)
        appendJSONString(SafeText.maskingCredentials(message), to: &line, limit: Self.messageLimit)
        for (key, value) in Self.ordered(metadata) {
            line.append(UInt8(ascii: ","))
            let reserved = key == "ts" || key == "level" || key == "msg"
            appendJSONString(reserved ? "metadata." + key : key, to: &line)
            line.append(UInt8(ascii: ":"))
            appendJSON(Self.isSecret(key) ? "***" : value, to: &line, depth: 1)
        }
        line.append(UInt8(ascii: "}"))
    }

    private func renderText(
        _ time: LogTime,
        _ level: Logger.Level,
        _ message: String,
        _ metadata: Logger.Metadata,
        into line: inout [UInt8]
    ) {
        line.append(contentsOf: time.text.utf8)
        line.append(UInt8(ascii: " "))
        let name = level.rawValue.uppercased()
        line.append(contentsOf: name.utf8)
        line.append(contentsOf: repeatElement(UInt8(ascii: " "), count: max(1, 9 - name.utf8.count)))
        SafeText.append(
            SafeText.maskingCredentials(message),
            to: &line,
            style: .text,
            limit: Self.messageLimit
        )
        for (key, value) in Self.ordered(metadata) {
            line.append(UInt8(ascii: " "))
            appendWord(key, to: &line)
            line.append(UInt8(ascii: "="))
            if Self.isSecret(key) {
                line.append(contentsOf: "***".utf8)
            } else if case .string(let text) = value {
                appendWord(SafeText.maskingCredentials(text), to: &line)
            } else if case .stringConvertible(let text) = value {
                appendWord(SafeText.maskingCredentials(text.description), to: &line)
            } else {
                appendJSON(value, to: &line, depth: 1)
            }
        }
    }

    /// A word stands for itself; anything else goes in double quotes, escaped as JSON, so that it cannot look like two.
    private func appendWord(_ text: String, to line: inout [UInt8]) {
        let isWord =
            !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "=") && $0 != UInt8(ascii: "\"") }
        if isWord {
            SafeText.append(text, to: &line, style: .text)
        } else {
            appendJSONString(text, to: &line)
        }
    }

    private func appendJSON(_ value: Logger.MetadataValue, to line: inout [UInt8], depth: Int) {
        guard depth <= Self.depthMax else {
            appendJSONString("…", to: &line)
            return
        }
        switch value {
        case .string(let text): appendJSONString(SafeText.maskingCredentials(text), to: &line)
        case .stringConvertible(let text): appendJSONString(SafeText.maskingCredentials(text.description), to: &line)
        case .array(let elements):
            line.append(UInt8(ascii: "["))
            for (index, element) in elements.prefix(Self.entriesMax).enumerated() {
                if index > 0 { line.append(UInt8(ascii: ",")) }
                appendJSON(element, to: &line, depth: depth + 1)
            }
            line.append(UInt8(ascii: "]"))
        case .dictionary(let members):
            line.append(UInt8(ascii: "{"))
            for (index, member) in Self.ordered(members).enumerated() {
                if index > 0 { line.append(UInt8(ascii: ",")) }
                appendJSONString(member.key, to: &line)
                line.append(UInt8(ascii: ":"))
                appendJSON(Self.isSecret(member.key) ? "***" : member.value, to: &line, depth: depth + 1)
            }
            line.append(UInt8(ascii: "}"))
        }
    }

    private func appendJSONString(_ text: String, to line: inout [UInt8], limit: Int = SafeText.defaultLimit) {
        line.append(UInt8(ascii: "\""))
        SafeText.append(text, to: &line, style: .json, limit: limit)
        line.append(UInt8(ascii: "\""))
    }

    private static func ordered(_ metadata: Logger.Metadata) -> ArraySlice<(key: String, value: Logger.MetadataValue)> {
        metadata.map { (key: $0.key, value: $0.value) }.sorted { $0.key < $1.key }.prefix(entriesMax)
    }

    private static func isSecret(_ key: String) -> Bool {
        switch key.lowercased() {
        case "password", "pass", "secret", "token", "authorization", "cookie", "credentials", "sinkcredential": true
        default: false
        }
    }
}

/// A moment as log lines show it: RFC 3339, UTC, milliseconds.
package struct LogTime: Sendable {
    let secondsSinceEpoch: Int
    let milliseconds: Int

    package init(secondsSinceEpoch: Int, milliseconds: Int) {
        self.secondsSinceEpoch = secondsSinceEpoch
        self.milliseconds = milliseconds
    }

    /// The present moment.
    package static var now: LogTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return LogTime(secondsSinceEpoch: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
    }

    /// For example `2026-01-02T03:04:05.678Z`.
    package var text: String {
        var seconds = time_t(secondsSinceEpoch)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "0000-00-00T00:00:00.000Z" }
        let date =
            "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
        let clock = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
        return "\(date)T\(clock).\(padded(milliseconds, 3))Z"
    }

    private func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
