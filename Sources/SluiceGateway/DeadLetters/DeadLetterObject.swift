import CloudEvents
import EventBus

/// What a dead letter, and a redrive, look like.
extension DeadLetter {
    /// Writes the dead letter as a JSON object, the event's own bytes untouched.
    ///
    /// What is no CloudEvent has `"event":null` and its bytes in `payloadBase64`.
    func write(into body: inout [UInt8]) {
        body.appendJSON(raw: "{\"sequence\":")
        body.appendJSON(integer: sequence)
        body.appendJSON(raw: ",\"subscription\":")
        body.appendJSON(string: subscription.id.text)
        body.appendJSON(raw: ",\"reason\":")
        body.appendJSON(string: reason)
        body.appendJSON(raw: ",\"attempts\":")
        body.appendJSON(integer: UInt64(max(attempts, 0)))
        body.appendJSON(raw: ",\"lastStatus\":")
        Self.write(lastStatus.map { UInt64(max($0, 0)) }, into: &body)
        body.appendJSON(raw: ",\"lastError\":")
        Self.write(lastError, into: &body)
        body.appendJSON(raw: ",\"firstTime\":")
        Self.write(firstTime?.text, into: &body)
        body.appendJSON(raw: ",\"lastTime\":")
        Self.write(lastTime?.text, into: &body)
        body.appendJSON(raw: ",\"storedTime\":")
        Self.write(storedTime?.text, into: &body)
        body.appendJSON(raw: ",\"originalSequence\":")
        Self.write(originalSequence, into: &body)
        body.appendJSON(raw: ",\"redriveCount\":")
        body.appendJSON(integer: UInt64(max(redriveCount, 0)))
        if let text = eventText {
            body.appendJSON(raw: ",\"event\":")
            body.append(contentsOf: text)
        } else {
            body.appendJSON(raw: ",\"event\":null,\"payloadBase64\":\"")
            body.append(contentsOf: Base64.encode(payload[...]).utf8)
            body.append(UInt8(ascii: "\""))
        }
        body.append(UInt8(ascii: "}"))
    }

    private static func write(_ number: UInt64?, into body: inout [UInt8]) {
        if let number { body.appendJSON(integer: number) } else { body.appendJSON(raw: "null") }
    }

    private static func write(_ text: String?, into body: inout [UInt8]) {
        if let text { body.appendJSON(string: text) } else { body.appendJSON(raw: "null") }
    }
}

extension RedriveReport {
    /// `{"matched","redriven","failed"}`, and why what failed did.
    var json: [UInt8] {
        var body: [UInt8] = []
        body.appendJSON(raw: "{\"matched\":")
        body.appendJSON(integer: UInt64(max(matched, 0)))
        body.appendJSON(raw: ",\"redriven\":")
        body.appendJSON(integer: UInt64(max(redriven, 0)))
        body.appendJSON(raw: ",\"failed\":")
        body.appendJSON(integer: UInt64(max(failed, 0)))
        body.appendJSON(raw: ",\"failures\":[")
        for (index, failure) in failures.enumerated() {
            if index > 0 { body.append(UInt8(ascii: ",")) }
            body.appendJSON(raw: "{\"sequence\":")
            body.appendJSON(integer: failure.sequence)
            body.appendJSON(raw: ",\"detail\":")
            body.appendJSON(string: failure.failure.description)
            body.append(UInt8(ascii: "}"))
        }
        body.appendJSON(raw: "],\"stopped\":")
        if let stopped { body.appendJSON(string: stopped) } else { body.appendJSON(raw: "null") }
        body.append(UInt8(ascii: "}"))
        return body
    }
}
