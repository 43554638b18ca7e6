public import CloudEvents
import EventFilters

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

extension CloudEvent {
    /// An event that carries a payload: type, `dataschema` and `eventkind` are the payload's, the content type is
    /// `application/json`.
    ///
    /// - Parameters:
    ///   - source: where it happened, a URI-reference.
    ///   - subject: what it is about within the source.
    ///   - id: what names it within the source; a random one unless given. The same id again is the same event, and is
    ///     stored once within the duplicate window.
    ///   - time: when it happened.
    /// - Throws: ``InvalidEvent`` for attributes that cannot be, a type that cannot be one, or a payload that does not
    ///   encode (its pointer is below `/data`).
    public init<Payload: EventPayload>(
        _ payload: Payload,
        source: String,
        subject: String? = nil,
        id: String? = nil,
        time: Timestamp? = .now()
    ) throws(InvalidEvent) {
        let type = Payload.eventType
        if let fault = type.fault {
            throw InvalidEvent(Violation(pointer: "/type", attribute: "type", rule: "payload", detail: fault))
        }
        var extensions = Extensions()
        extensions.set(.string(type.kind.rawValue), for: EventKind.attribute)
        self = try CloudEvent(
            id: id ?? SubscriptionName.random().text,
            source: source,
            type: type.text,
            subject: subject,
            time: time,
            dataContentType: "application/json",
            dataSchema: type.schema,
            extensions: extensions,
            data: .json(try PayloadCoding.encode(payload))
        )
    }

    /// The payload of the event.
    ///
    /// - Throws: ``PayloadError`` if the event is of another type (compared by code units), its data is not JSON, or the
    ///   JSON does not decode.
    public func payload<Payload: EventPayload>(as _: Payload.Type = Payload.self) throws(PayloadError) -> Payload {
        let expected = Payload.eventType.text
        guard CodeUnits.equal(type, expected) else {
            throw PayloadError(type: expected, pointer: "", reason: "the event is of the type \(type.debugDescription)")
        }
        guard let data else { throw PayloadError(type: expected, pointer: "", reason: "the event has no data") }
        guard case .json(let bytes) = data else {
            let reason = "the data is not JSON but \((effectiveContentType ?? "of no content type").debugDescription)"
            throw PayloadError(type: expected, pointer: "", reason: reason)
        }
        return try PayloadCoding.decode(bytes)
    }
}

/// How payloads are written as JSON and read.
enum PayloadCoding {
    static func encode<Payload: EventPayload>(_ payload: Payload) throws(InvalidEvent) -> ArraySlice<UInt8> {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .custom { date, encoder in
            var container = encoder.singleValueContainer()
            guard let text = text(of: date) else {
                let problem = "a date outside the years 0000 to 9999"
                throw EncodingError.invalidValue(date, .init(codingPath: encoder.codingPath, debugDescription: problem))
            }
            try container.encode(text)
        }
        do {
            return Array(try encoder.encode(payload))[...]
        } catch {
            var (pointer, reason) = ("", "\(error)")
            if case EncodingError.invalidValue(_, let context) = error {
                (pointer, reason) = (Self.pointer(context.codingPath), context.debugDescription)
            }
            let detail = "the payload does not encode: \(clipped(reason))"
            throw InvalidEvent(Violation(pointer: "/data" + pointer, rule: "payload", detail: detail))
        }
    }

    static func decode<Payload: EventPayload>(_ bytes: ArraySlice<UInt8>) throws(PayloadError) -> Payload {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let container = try decoder.singleValueContainer()
            guard let time = Timestamp(try container.decode(String.self)) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an RFC 3339 time")
            }
            return Date(timeIntervalSince1970: Double(time.secondsSinceEpoch) + Double(time.nanoseconds) / 1e9)
        }
        do {
            return try decoder.decode(Payload.self, from: Data(bytes))
        } catch {
            let (pointer, reason) = explain(error)
            throw PayloadError(type: Payload.eventType.text, pointer: pointer, reason: clipped(reason))
        }
    }

    /// What Foundation says, without a place, of data that is valid JSON, as the data of an event always is, and that it
    /// cannot take.
    private static let notJSON = "The given data was not valid JSON."

    /// Place and reason of what a decoder or a payload's own initialiser threw.
    private static func explain(_ error: any Error) -> (pointer: String, reason: String) {
        guard let error = error as? DecodingError else { return ("", "\(error)") }
        switch error {
        case .keyNotFound(let key, let context): return (pointer(context.codingPath + [key]), "the member is missing")
        case .valueNotFound(_, let context): return (pointer(context.codingPath), "there is no value")
        case .dataCorrupted(let context) where context.codingPath.isEmpty && context.debugDescription == notJSON:
            return ("", "a number does not fit its member")
        case .typeMismatch(_, let context), .dataCorrupted(let context):
            return (pointer(context.codingPath), context.debugDescription)
        @unknown default: return ("", "\(error)")
        }
    }

    /// A path as a JSON Pointer (RFC 6901 §3).
    private static func pointer(_ path: [any CodingKey]) -> String {
        path.map { key in
            if let index = key.intValue { return "/\(index)" }
            return "/" + key.stringValue.replacing("~", with: "~0").replacing("/", with: "~1")
        }.joined()
    }

    /// Enough of a reason to be understood; a dead letter keeps at most 1 KiB.
    private static func clipped(_ reason: String) -> String { String(reason.prefix(300)) }

    /// The date in UTC, to the microsecond; a `Date` of these years holds no more.
    private static func text(of date: Date) -> String? {
        let microseconds = (date.timeIntervalSince1970 * 1e6).rounded()
        guard let total = Int64(exactly: microseconds) else { return nil }
        let (seconds, rest) = total.quotientAndRemainder(dividingBy: 1_000_000)
        let isBefore = rest < 0
        return Timestamp(
            secondsSinceEpoch: isBefore ? seconds - 1 : seconds,
            nanoseconds: Int32((isBefore ? rest + 1_000_000 : rest) * 1000)
        )?.text
    }
}
