import Foundation
import Glibc
import Logging
import ServerFixtures
import SluiceCommands
import Testing

/// S-18: whatever is logged, a call is one line, and a line says only what the call said.
struct LogLineTests {
    static let hostile = [
        "plain", "", " ", "a\nb", "a\r\n{\"level\":\"critical\",\"msg\":\"forged\"}", "\u{1B}[2J\u{1B}[31mred", "\u{0}",
        "\u{7}\u{8}\u{7F}", "\u{85}\u{9B}31m", "\u{202E}gnp.exe", "\u{2066}x\u{2069}", "\u{200F}\u{61C}",
        "a\u{2028}b\u{2029}c",
        "\u{FEFF}", "\u{E000}\u{FFFF}\u{10FFFF}", "\"quoted\" \\back\\", "level=error msg=x", "🙂 grün 漢字", "e\u{301}",
        String(repeating: "x", count: 100_000), String(repeating: "漢", count: 1000), "\"}\n{\"ts\":1}",
    ]

    private let time = LogTime(secondsSinceEpoch: 1_767_323_045, milliseconds: 7)

    private func render(_ format: LogFormat, _ message: String, _ metadata: Logger.Metadata = [:]) -> String {
        let bytes = LogLine(format: format).render(time: time, level: .info, message: message, metadata: metadata)
        return String(decoding: bytes, as: UTF8.self)
    }

    private func isHarmless(_ line: String) -> Bool {
        line.last == "\n"
            && line.dropLast().unicodeScalars.allSatisfy { scalar in
                switch scalar.properties.generalCategory {
                case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: false
                default: true
                }
            }
    }

    @Test(arguments: hostile, LogFormat.allCases)
    func `S-18: a hostile string makes one harmless line of bounded length`(text: String, format: LogFormat) {
        let metadata: Logger.Metadata = [
            "value": "\(text)", text: "key", "list": ["\(text)", "b"], "object": .dictionary([text: "\(text)"]),
            "other": .stringConvertible(text),
        ]
        let line = render(format, text, metadata)
        #expect(isHarmless(line))
        #expect(line.utf8.count < 16_384)
    }

    @Test(arguments: hostile)
    func `S-18: a JSON line is one object that holds what was said`(text: String) throws {
        let line = render(.json, text, ["value": "\(text)", text: "key"])
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["level"] as? String == "info")
        #expect(object["ts"] as? String == "2026-01-02T03:04:05.007Z")
        let value = try #require(object["value"] as? String)
        if text.utf8.count <= 256 {
            #expect(value.unicodeScalars.elementsEqual(text.unicodeScalars))
        } else {
            #expect(value.hasSuffix("…"))
            #expect(value.utf8.count <= 256 + 3)
        }
        #expect((object["msg"] as? String)?.isEmpty == text.isEmpty)
    }

    @Test func `S-18: metadata cannot take the place of time, level and message`() throws {
        let line = render(.json, "true", ["level": "critical", "msg": "false", "ts": "never"])
        #expect(
            line == #"{"ts":"2026-01-02T03:04:05.007Z","level":"info","msg":"true","metadata.level":"critical","#
                + #""metadata.msg":"false","metadata.ts":"never"}"# + "\n"
        )
    }

    @Test func `text lines quote what is not a word`() {
        let line = render(.text, "stored", ["id": "a b", "n": "7", "fake": "x=1", "empty": ""])
        #expect(line == "2026-01-02T03:04:05.007Z INFO     stored empty=\"\" fake=\"x=1\" id=\"a b\" n=7\n")
    }

    @Test func `S-18: secrets are not logged`() {
        let metadata: Logger.Metadata = [
            "url": "nats://me:hunter2@host:4222", "password": "hunter2", "nested": .dictionary(["token": "hunter2"]),
        ]
        for format in LogFormat.allCases {
            let line = render(format, "connecting to nats://me:hunter2@host", metadata)
            #expect(!line.contains("hunter2"))
            #expect(line.contains("nats://***@host"))
        }
    }

    @Test func `deep and wide metadata is bounded`() throws {
        var nested: Logger.MetadataValue = "end"
        for _ in 0..<1000 { nested = .array([nested, nested].prefix(1).map { $0 }) }
        var wide: Logger.Metadata = ["nested": nested]
        for index in 0..<1000 { wide["key\(index)"] = "value" }
        let line = render(.json, "x", wide)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object.count <= 3 + LogLine.entriesMax)
        #expect(isHarmless(line))
    }

    @Test func `S-18: threads that log at once write as many whole lines as calls`() async throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/log"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        let queue = try LogQueue(descriptor: descriptor, format: .json)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    await onThread {
                        let logger = Logger(label: "test") { _ in
                            LineLogHandler(level: .trace, format: .json, queue: queue)
                        }
                        for (index, text) in Self.hostile.enumerated() {
                            logger.info(
                                "\(text)",
                                metadata: ["task": "\(task)", "index": "\(index)", "text": "\(text)"]
                            )
                        }
                    }
                }
            }
        }
        #expect(queue.flush(within: .seconds(20)))
        let lines = try Data(contentsOf: URL(fileURLWithPath: path)).split(separator: UInt8(ascii: "\n"))
        #expect(lines.count == 8 * Self.hostile.count)
        for line in lines {
            let object = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
            #expect(object?["task"] is String)
        }
    }

    @Test func `a level below the handler's is not written and an error gets a key`() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/log"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        defer { close(descriptor) }
        let queue = try LogQueue(descriptor: descriptor, format: .text)
        var logger = Logger(label: "test") { _ in LineLogHandler(level: .warning, format: .text, queue: queue) }
        logger[metadataKey: "tenant"] = "acme"
        logger.info("hidden")
        logger.warning("seen")
        #expect(queue.flush(within: .seconds(20)))
        let text = try String(contentsOfFile: path, encoding: .utf8)
        #expect(text.hasSuffix(" WARNING  seen tenant=acme\n"))
        #expect(text.filter { $0 == "\n" }.count == 1)
    }
}
