package import NIOCore

/// A sink as requests need it: checked once, its part of a request's head laid out once.
///
/// Immutable; one for each subscription. Connections are shared by sinks of one scheme, host, port and partition, and by
/// no others.
package final class WebhookSink: Sendable {
    /// Fields that cannot be sent, and why; holds no value.
    package struct Fault: Error, Sendable, Equatable {
        package let reason: String
    }

    package let url: SinkURL
    /// Sinks of different partitions never share a connection (S-11): such as tenant and subscription.
    package let partition: String
    /// Such as `POST`.
    package let method: String
    /// The fields of every request, credentials included.
    let fields: [(name: String, value: String)]
    /// Request line, `Host`, `User-Agent` and the fields, as HTTP/1.1 has them; ends with CRLF.
    let head: [UInt8]
    let key: OriginKey

    /// Whether a request without a body says so (RFC 9110 §8.6).
    var needsLength: Bool { method == "POST" || method == "PUT" || method == "PATCH" }

    /// Lays a sink out.
    ///
    /// - Parameters:
    ///   - method: `POST`, `PUT`, `PATCH` or `OPTIONS`; the methods whose answers are framed like those of `POST`.
    ///   - fields: what every request carries, such as `Authorization`.
    package init(
        url: SinkURL,
        partition: String,
        method: String = "POST",
        fields: [(name: String, value: String)] = [],
        userAgent: String = "sluice"
    ) throws(Fault) {
        guard ["POST", "PUT", "PATCH", "DELETE", "GET", "OPTIONS"].contains(method) else {
            throw Fault(reason: "the method is not one of POST, PUT, PATCH, DELETE, GET and OPTIONS")
        }
        for field in fields {
            guard FieldRules.isName(field.name), FieldRules.isValue(field.value) else {
                throw Fault(reason: "a field has a name or a value that HTTP does not allow")
            }
            guard !FieldRules.isReserved(field.name) else {
                throw Fault(reason: "the field \(FailureText.clean(field.name, 64)) is set by the connection itself")
            }
        }
        self.url = url
        self.partition = partition
        self.method = method
        var all = fields
        if !fields.contains(where: { $0.name.lowercased() == "user-agent" }) {
            all.insert(("user-agent", userAgent), at: 0)
        }
        self.fields = all
        var head = Array("\(method) \(url.target) HTTP/1.1\r\nhost: \(url.authority)\r\n".utf8)
        for field in all { head += Array("\(field.name): \(field.value)\r\n".utf8) }
        self.head = head
        key = OriginKey(isSecure: url.isSecure, host: url.host, port: url.port, partition: partition)
    }
}

/// What a connection is for.
struct OriginKey: Hashable, Sendable {
    let isSecure: Bool
    let host: SinkURL.Host
    let port: UInt16
    let partition: String
}

/// One request to a sink.
package struct WebhookRequest {
    package enum Body {
        case bytes([UInt8])
        case buffer(ByteBuffer)

        var count: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .buffer(let buffer): buffer.readableBytes
            }
        }
    }

    package var sink: WebhookSink
    /// The fields of this request alone; `content-length` is added.
    package var fields: [(name: String, value: String)]
    package var body: Body
    /// From the call of `send` to the end of the answer.
    package var timeout: Duration
    /// Names, in lower case, of the answer's fields to hand over.
    package var wantedFields: [String]

    package init(
        _ sink: WebhookSink,
        fields: [(name: String, value: String)] = [],
        body: Body = .bytes([]),
        timeout: Duration = .seconds(30),
        wantedFields: [String] = []
    ) {
        self.sink = sink
        self.fields = fields
        self.body = body
        self.timeout = timeout
        self.wantedFields = wantedFields
    }
}

/// A sink's answer.
package struct WebhookResponse: Sendable, Equatable {
    /// A field of the answer; the name in lower case.
    package struct Field: Sendable, Equatable {
        package let name: String
        package let value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    /// 200 to 999.
    package var status: Int
    /// `Retry-After` (RFC 9110 §10.2.3), at most a day.
    package var retryAfter: Duration?
    /// The wanted fields, in the order of the answer.
    package var fields: [Field]
    /// The first KiB of the body as it came, still encoded if the sink encoded it; empty for a 2xx.
    package var bodyPrefix: [UInt8]
    /// Whether more than 64 KiB of body came, so that the connection was closed before the end.
    package var isTruncated: Bool
    /// Whether it came over HTTP/2.
    package var isHTTP2: Bool

    package init(
        status: Int,
        retryAfter: Duration? = nil,
        fields: [Field] = [],
        bodyPrefix: [UInt8] = [],
        isTruncated: Bool = false,
        isHTTP2: Bool = false
    ) {
        self.status = status
        self.retryAfter = retryAfter
        self.fields = fields
        self.bodyPrefix = bodyPrefix
        self.isTruncated = isTruncated
        self.isHTTP2 = isHTTP2
    }
}
