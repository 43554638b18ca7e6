/// Writes events in the JSON format.
package enum JSONWriter {
    /// Appends one event: core attributes, extensions, data.
    static func write(_ event: CloudEvent, into output: inout [UInt8]) {
        output.reserveCapacity(output.count + estimate(event))
        append(#"{"specversion":"1.0","id":"#, to: &output)
        write(event.id, into: &output)
        append(#","source":"#, to: &output)
        write(event.source, into: &output)
        append(#","type":"#, to: &output)
        write(event.type, into: &output)
        if let subject = event.subject {
            append(#","subject":"#, to: &output)
            write(subject, into: &output)
        }
        if let time = event.time {
            append(#","time":"#, to: &output)
            write(time.text, into: &output)
        }
        if let dataContentType = event.dataContentType {
            append(#","datacontenttype":"#, to: &output)
            write(dataContentType, into: &output)
        }
        if let dataSchema = event.dataSchema {
            append(#","dataschema":"#, to: &output)
            write(dataSchema, into: &output)
        }
        for (name, value) in event.extensions {
            append(",", to: &output)
            write(name, into: &output)
            append(":", to: &output)
            write(value, into: &output)
        }
        if let data = event.data { write(data, into: &output) }
        output.append(UInt8(ascii: "}"))
    }

    /// The size of the text if nothing needs an escape.
    private static func estimate(_ event: CloudEvent) -> Int {
        var count = 64 + event.id.utf8.count + event.source.utf8.count + event.type.utf8.count
        if let subject = event.subject { count += subject.utf8.count + 13 }
        if let time = event.time { count += time.text.utf8.count + 10 }
        if let dataContentType = event.dataContentType { count += dataContentType.utf8.count + 21 }
        if let dataSchema = event.dataSchema { count += dataSchema.utf8.count + 16 }
        for (name, value) in event.extensions {
            count += name.utf8.count + 18
            if case .string(let text) = value { count += text.utf8.count }
        }
        switch event.data {
        case .json(let bytes): count += bytes.count + 10
        case .text(let text): count += text.utf8.count + 12
        case .binary(let bytes): count += Base64.encodedCount(bytes.count) + 20
        case nil: break
        }
        return count
    }

    private static func write(_ data: EventData, into output: inout [UInt8]) {
        switch data {
        case .json(let bytes):
            append(#","data":"#, to: &output)
            output.append(contentsOf: bytes)
        case .text(let text):
            append(#","data":"#, to: &output)
            write(text, into: &output)
        case .binary(let bytes):
            append(#","data_base64":""#, to: &output)
            Base64.encode(bytes, into: &output)
            append("\"", to: &output)
        }
    }

    private static func write(_ value: AttributeValue, into output: inout [UInt8]) {
        switch value {
        case .boolean, .integer: output.append(contentsOf: value.canonicalText.utf8)
        case .string(let text), .uri(let text), .uriReference(let text): write(text, into: &output)
        case .binary, .timestamp: write(value.canonicalText, into: &output)
        }
    }

    /// Appends a JSON string with its quotes, copying long stretches that need no escape.
    package static func write(_ text: String, into output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        var text = text
        text.withUTF8 { bytes in
            guard let base = bytes.baseAddress else { return }
            var start = 0
            var index = 0
            while true {
                index = PlainText.end(base, from: index, to: bytes.count, special: UInt8(ascii: "\\"))
                guard index < bytes.count else { break }
                let byte = bytes[index]
                index += 1
                if byte >= 0x7F { continue }
                output.append(contentsOf: bytes.part(start..<index - 1))
                start = index
                appendEscape(byte, to: &output)
            }
            output.append(contentsOf: bytes.part(start..<bytes.count))
        }
        output.append(UInt8(ascii: "\""))
    }

    /// Appends the escape for a quote, a backslash or a control character.
    private static func appendEscape(_ byte: UInt8, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): output.append(byte)
        case 0x08: output.append(UInt8(ascii: "b"))
        case 0x09: output.append(UInt8(ascii: "t"))
        case 0x0A: output.append(UInt8(ascii: "n"))
        case 0x0C: output.append(UInt8(ascii: "f"))
        case 0x0D: output.append(UInt8(ascii: "r"))
        default:
            append("u00", to: &output)
            output.append(HeaderValueCoding.hexDigit(byte >> 4))
            output.append(HeaderValueCoding.hexDigit(byte & 15))
        }
    }

    @inline(__always)
    private static func append(_ literal: StaticString, to output: inout [UInt8]) {
        output.append(contentsOf: Bytes(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }
}
