import CNATS
import Glibc

/// The pieces of a received message, where cnats keeps them.
struct MessageView {
    private let message: OpaquePointer
    private let subjectStart: UnsafePointer<CChar>?
    private let replyStart: UnsafePointer<CChar>?

    init(_ message: OpaquePointer) {
        self.message = message
        subjectStart = natsMsg_GetSubject(message)
        replyStart = natsMsg_GetReply(message)
    }

    var subject: UnsafeRawBufferPointer? { Self.bytes(subjectStart) }

    /// Nil if there is none.
    var reply: UnsafeRawBufferPointer? {
        guard let bytes = Self.bytes(replyStart), !bytes.isEmpty else { return nil }
        return bytes
    }

    var payload: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: natsMsg_GetData(message), count: Int(max(natsMsg_GetDataLength(message), 0)))
    }

    /// Calls `body` with the header block as it came, nil if there is none.
    ///
    /// cnats has no call for it, and its own reader lets an empty value swallow the next header (C-13). In 3.4.1 the block
    /// lies between subject (and reply) and payload, a NUL behind each. Any other version is asked header by header.
    func withHeaders<Result>(_ body: (UnsafeRawBufferPointer?) -> Result) -> Result {
        guard Self.layoutIsKnown else {
            let copy = Self.copyHeaders(message)
            return copy.withUnsafeBytes { body($0.isEmpty ? nil : $0) }
        }
        guard let text = replyStart ?? subjectStart, let data = natsMsg_GetData(message) else { return body(nil) }
        let start = UnsafeRawPointer(text + strlen(text) + 1)
        let count = UnsafeRawPointer(data) - start - 1
        return body(count > 0 ? UnsafeRawBufferPointer(start: start, count: count) : nil)
    }

    /// The header block made anew from what cnats has read of it.
    private static func copyHeaders(_ message: OpaquePointer) -> [UInt8] {
        var names: UnsafeMutablePointer<UnsafePointer<CChar>?>?
        var count: Int32 = 0
        guard natsMsgHeader_Keys(message, &names, &count) == NATS_OK, let names else { return [] }
        defer { free(names) }
        var first = "NATS/1.0"
        var lines = ""
        for index in 0..<Int(count) {
            guard let name = names[index] else { continue }
            var value: UnsafePointer<CChar>?
            guard natsMsgHeader_Get(message, name, &value) == NATS_OK, let value else { continue }
            switch String(cString: name) {
            case "Status": first = "NATS/1.0 \(String(cString: value))" + first.dropFirst(8)
            case "Description": first += " \(String(cString: value))"
            case let name: lines += "\(name): \(String(cString: value))\r\n"
            }
        }
        return Array("\(first)\r\n\(lines)\r\n".utf8)
    }

    private static let layoutIsKnown = nats_GetVersion().map { strcmp($0, "3.4.1") == 0 } ?? false

    private static func bytes(_ text: UnsafePointer<CChar>?) -> UnsafeRawBufferPointer? {
        text.map { UnsafeRawBufferPointer(start: $0, count: strlen($0)) }
    }
}
