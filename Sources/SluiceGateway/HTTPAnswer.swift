import NIOCore
import NIOHTTP1

/// One response of the publishing path: complete, with its body in memory.
struct HTTPAnswer: Sendable {
    /// The status.
    var status: HTTPResponseStatus
    /// The body; empty for none.
    var body: [UInt8] = []
    /// The media type of the body.
    var contentType = MediaType.json
    /// Further header fields.
    var fields: [(name: String, value: String)] = []
    /// Whether the connection ends with this response.
    var closes = false

    /// The media types the gateway writes.
    enum MediaType {
        static let json = "application/json"
        static let problem = "application/problem+json"
    }
}

/// The answers to a publish that went well.
enum PublishAnswer {
    /// One event stored: `{"id","source","stream","sequence","duplicate"}`.
    ///
    /// - Parameter shortForm: also `"event_id"`, as `POST /events/publish` promises.
    static func stored(
        id: String,
        source: String,
        stream: String,
        sequence: UInt64,
        duplicate: Bool,
        shortForm: Bool
    ) -> HTTPAnswer {
        var body: [UInt8] = []
        body.reserveCapacity(96 + id.utf8.count + source.utf8.count + stream.utf8.count)
        body.appendJSON(raw: "{\"id\":")
        body.appendJSON(string: id)
        if shortForm {
            body.appendJSON(raw: ",\"event_id\":")
            body.appendJSON(string: id)
        }
        body.appendJSON(raw: ",\"source\":")
        body.appendJSON(string: source)
        body.appendJSON(raw: ",\"stream\":")
        body.appendJSON(string: stream)
        body.appendJSON(raw: ",\"sequence\":")
        body.appendJSON(integer: sequence)
        body.appendJSON(raw: duplicate ? ",\"duplicate\":true}" : ",\"duplicate\":false}")
        return HTTPAnswer(status: .accepted, body: body)
    }

    /// The same status without a body, for `Prefer: return=minimal` (RFC 7240 §4.2).
    static func minimal(_ status: HTTPResponseStatus) -> HTTPAnswer {
        HTTPAnswer(status: status, fields: [("Preference-Applied", "return=minimal")])
    }
}
