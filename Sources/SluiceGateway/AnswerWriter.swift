import NIOCore
import NIOHTTP1

/// Renders whole answers as bytes: status line, fields and body in one buffer, one write and no table of fields.
///
/// Every value is ours or has been checked to be visible ASCII, so that no answer can be split. Not safe for
/// concurrent use: one for each event loop.
struct AnswerWriter {
    private var date = HTTPDate()

    /// The bytes of an answer.
    ///
    /// - Parameters:
    ///   - requestID: echoed as `X-Request-Id`; visible ASCII.
    ///   - closes: tell the client that the connection ends.
    mutating func render(
        _ answer: HTTPAnswer,
        requestID: String?,
        closes: Bool,
        allocator: ByteBufferAllocator
    ) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: 256 + answer.body.count)
        if answer.status == .accepted {
            buffer.writeStaticString("HTTP/1.1 202 Accepted\r\nDate: ")
        } else {
            buffer.writeString("HTTP/1.1 \(answer.status.code) \(answer.status.reasonPhrase)\r\nDate: ")
        }
        buffer.writeString(date.text())
        buffer.writeStaticString("\r\nContent-Length: ")
        buffer.writeString(String(answer.body.count))
        if !answer.body.isEmpty {
            buffer.writeStaticString("\r\nContent-Type: ")
            buffer.writeString(answer.contentType)
        }
        if let requestID { write("X-Request-Id", requestID, to: &buffer) }
        for field in answer.fields { write(field.name, field.value, to: &buffer) }
        if closes { buffer.writeStaticString("\r\nConnection: close") }
        buffer.writeStaticString("\r\n\r\n")
        buffer.writeBytes(answer.body)
        return buffer
    }

    private func write(_ name: String, _ value: String, to buffer: inout ByteBuffer) {
        buffer.writeStaticString("\r\n")
        buffer.writeString(name)
        buffer.writeStaticString(": ")
        buffer.writeString(value)
    }
}
