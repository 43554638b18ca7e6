import Foundation
import ServerFixtures

/// An event to send, with an id that no other event has unless a test gives it one.
struct TestEvent {
    var id = uniqueID()
    var source = "/tests/gateway"
    var type = "com.example.tested"
    /// Other attributes, as JSON text by name.
    var attributes: [(name: String, json: String)] = []
    /// The data, as JSON text; `nil` for none.
    var data: String? = "{\"a\":1}"

    /// The event in the JSON format.
    var json: String {
        let required = [("specversion", "1.0"), ("id", id), ("source", source), ("type", type)]
        var members = required.map { "\"\($0)\":\(quoted($1))" } + attributes.map { "\(quoted($0.name)):\($0.json)" }
        if let data { members.append("\"data\":\(data)") }
        return "{\(members.joined(separator: ","))}"
    }

    func structured(to target: String = "/v1/events", headers: [(String, String)] = []) -> HTTPRequest {
        let type = ("Content-Type", "application/cloudevents+json")
        return HTTPRequest("POST", target, headers: [type] + headers, body: Array(json.utf8))
    }

    /// In binary mode, the attributes as they are: nothing is percent-encoded here.
    func binary(to target: String = "/v1/events", headers: [(String, String)] = []) -> HTTPRequest {
        let own = [
            ("ce-specversion", "1.0"), ("ce-id", id), ("ce-source", source), ("ce-type", type),
            ("Content-Type", "application/json"),
        ]
        return HTTPRequest("POST", target, headers: own + headers, body: Array((data ?? "").utf8))
    }
}

/// A batch of events, each given as JSON text.
func batch(
    _ events: [String],
    to target: String = "/v1/events",
    headers: [(String, String)] = []
) -> HTTPRequest {
    let type = ("Content-Type", "application/cloudevents-batch+json")
    let body = "[\(events.joined(separator: ","))]"
    return HTTPRequest("POST", target, headers: [type] + headers, body: Array(body.utf8))
}

/// The short form, with these members as JSON text.
func shortForm(_ json: String, query: String = "?source=/tests/short", headers: [(String, String)] = []) -> HTTPRequest
{
    let type = ("Content-Type", "application/json")
    return HTTPRequest("POST", "/events/publish\(query)", headers: [type] + headers, body: Array(json.utf8))
}

func uniqueID(_ prefix: String = "e") -> String {
    "\(prefix)-\(UUID().uuidString.lowercased())"
}

/// A text as a JSON string.
func quoted(_ text: String) -> String {
    WireJSON.quoted(text)
}
