package import NIOCore

/// How events are put into requests.
package enum BenchMode: String, Sendable, CaseIterable {
    case binary
    case structured
    case batch
}

/// A request rendered once; sending it again costs a copy and the digits of the ids in it.
package struct BenchTemplate: Sendable {
    /// Digits of the running number in an id.
    static let digits = 12

    /// Events in one request.
    package let eventsPerRequest: Int
    private let bytes: [UInt8]
    private let places: [Int]

    /// Renders the request.
    ///
    /// - Parameters:
    ///   - authority: The `Host` field.
    ///   - path: The request's target.
    ///   - run: A text that no other run has; part of every id. ASCII letters, digits and dashes.
    ///   - dataBytes: The size of each event's JSON data, at least 12.
    ///   - fields: Further header fields, complete and safe.
    package init(
        mode: BenchMode,
        authority: String,
        path: String,
        run: String,
        batchSize: Int,
        dataBytes: Int,
        fields: [(name: String, value: String)] = []
    ) {
        let id = "\(run)-" + String(repeating: "0", count: Self.digits)
        let data = "{\"fill\":\"" + String(repeating: "x", count: max(0, dataBytes - 11)) + "\"}"
        let event =
            "{\"specversion\":\"1.0\",\"id\":\"\(id)\",\"source\":\"/sluice/bench\","
            + "\"type\":\"com.example.bench\",\"datacontenttype\":\"application/json\",\"data\":\(data)}"
        let body: String
        var head = "POST \(path) HTTP/1.1\r\nHost: \(authority)\r\n"
        switch mode {
        case .binary:
            eventsPerRequest = 1
            body = data
            head += "Content-Type: application/json\r\nce-specversion: 1.0\r\nce-id: \(id)\r\n"
            head += "ce-source: /sluice/bench\r\nce-type: com.example.bench\r\n"
        case .structured:
            eventsPerRequest = 1
            body = event
            head += "Content-Type: application/cloudevents+json\r\n"
        case .batch:
            eventsPerRequest = batchSize
            body = "[" + repeatElement(event, count: batchSize).joined(separator: ",") + "]"
            head += "Content-Type: application/cloudevents-batch+json\r\n"
        }
        for field in fields { head += "\(field.name): \(field.value)\r\n" }
        head += "Content-Length: \(body.utf8.count)\r\n\r\n"
        bytes = Array((head + body).utf8)
        places = Self.places(of: Array(id.utf8), in: bytes)
    }

    /// Writes the request into `buffer`, with the ids `number`, `number + 1` and so on.
    package func render(number: UInt64, into buffer: inout ByteBuffer) {
        buffer.clear()
        buffer.writeBytes(bytes)
        buffer.withUnsafeMutableReadableBytes { target in
            for (index, place) in places.enumerated() {
                var rest = number &+ UInt64(index)
                for digit in stride(from: place + Self.digits - 1, through: place, by: -1) {
                    target[digit] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
            }
        }
    }

    private static func places(of id: [UInt8], in bytes: [UInt8]) -> [Int] {
        var places: [Int] = []
        var index = 0
        while index + id.count <= bytes.count {
            if bytes[index] == id[0], bytes[index..<index + id.count].elementsEqual(id) {
                places.append(index + id.count - digits)
                index += id.count
            } else {
                index += 1
            }
        }
        return places
    }
}
