import CloudEvents
import EventBus

/// `POST /events/publish`: an event without an envelope, for scripts.
///
/// `{"event_type", "data", "tenant_id"?, "subject"?, "event_id"?, "correlation_id"?, "time"?}` and the source in the query.
/// Here the gateway is the producer: it makes the id and the time if they are missing.
struct ShortForm {
    private static let members = [
        "event_type", "data", "tenant_id", "subject", "event_id", "correlation_id", "time",
    ]

    private var texts: [String: String] = [:]
    private var data: ArraySlice<UInt8>?
    private var violations: [Violation] = []

    /// Reads the body of a short-form request.
    ///
    /// - Throws: a problem that lists everything wrong.
    static func read(
        _ request: PublishRequest,
        body: ArraySlice<UInt8>,
        trace: TraceContext
    ) throws(Problem) -> Intake.Draft {
        if let type = request.contentType, !isJSON(type) {
            throw Problem(
                kind: .unsupportedMediaType,
                detail: "the short form is application/json, not \(type.quotedForDetail)",
                fields: [("Accept-Post", "application/json")]
            )
        }
        var form = ShortForm()
        try form.take(body)
        let tenant = try form.tenant(request)
        return Intake.Draft(
            event: try form.event(source: request.source),
            text: nil,
            tenant: tenant,
            trace: trace
        )
    }

    private mutating func take(_ body: ArraySlice<UInt8>) throws(Problem) {
        let found: [JSONMember]
        do {
            found = try JSONObject.members(of: body)
        } catch {
            throw Problem(error)
        }
        for member in found {
            guard Self.members.contains(member.name) else {
                violate(
                    member.name,
                    "unknown member; known: \(Self.members.joined(separator: ", "))"
                )
                continue
            }
            if member.name == "data" {
                data = member.raw
            } else if let text = member.string {
                texts[member.name] = text
            } else if member.kind != .null {
                violate(member.name, "must be a string")
            }
        }
        if texts["event_type"] == nil && !violations.contains(where: { $0.pointer == "/event_type" }) {
            violate("event_type", "is required")
        }
        if data == nil { violate("data", "is required; null is allowed") }
    }

    /// `tenant_id` of the body, else the header's; both must agree.
    private mutating func tenant(_ request: PublishRequest) throws(Problem) -> TenantName {
        guard let text = texts["tenant_id"] else { return request.tenant }
        guard let name = TenantName(text) else {
            throw Problem(
                kind: .invalidTenant,
                detail: "tenant_id \(text.quotedForDetail) is not a tenant name: \(TenantName.rule)"
            )
        }
        if request.tenantIsExplicit && name != request.tenant {
            throw Problem(
                kind: .invalidTenant,
                detail: "tenant_id \(text.quotedForDetail) and X-Tenant-ID '\(request.tenant)' are different"
            )
        }
        return name
    }

    private mutating func event(source: String?) throws(Problem) -> CloudEvent {
        if source == nil {
            violations.append(
                Violation(
                    pointer: "/query/source",
                    attribute: "source",
                    rule: "CE-01",
                    detail: "the query parameter source is required: the URI-reference of where the event happened"
                )
            )
        }
        let time = texts["time"].flatMap { Timestamp($0) }
        if texts["time"] != nil && time == nil { violate("time", "is not an RFC 3339 date-time", rule: "CE-26") }
        var extensions: Extensions = [:]
        if let correlation = texts["correlation_id"] { extensions.set(.string(correlation), for: "correlationid") }
        do {
            let event = try CloudEvent(
                id: texts["event_id"] ?? UUIDText.make(),
                source: source ?? "/missing",
                type: texts["event_type"] ?? "missing",
                subject: texts["subject"],
                time: time ?? .now(),
                dataContentType: "application/json",
                extensions: extensions,
                data: data.map { .json($0) }
            )
            if violations.isEmpty { return event }
        } catch {
            violations += error.violations.map(Self.renamed)
        }
        throw Problem(
            kind: .invalidEvent,
            detail: violations.count == 1
                ? violations[0].detail : "\(violations.count) rules are broken; violations lists them",
            violations: violations
        )
    }

    /// A violation of the event, in the names of the short form.
    private static func renamed(_ violation: Violation) -> Violation {
        let pointers = [
            "/id": "/event_id", "/type": "/event_type", "/source": "/query/source",
            "/correlationid": "/correlation_id",
        ]
        return Violation(
            pointer: pointers[violation.pointer] ?? violation.pointer,
            attribute: violation.attribute,
            rule: violation.rule,
            detail: violation.detail
        )
    }

    private mutating func violate(_ name: String, _ detail: String, rule: String = "short-form") {
        violations.append(
            Violation(pointer: "/" + name.pointerEscaped, rule: rule, detail: "\(name.quotedForDetail) \(detail)")
        )
    }

    private static func isJSON(_ contentType: String) -> Bool {
        let main = contentType.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }
        return main.isASCIIEqual(to: "application/json") || main.isASCIIEqual(to: "text/json")
    }
}

extension Problem {
    /// The problem of a body that is no JSON object.
    init(_ error: JSONObjectError) {
        switch error {
        case .syntax(let syntax):
            self.init(
                kind: .malformedJSON,
                detail: "the body is not JSON: \(syntax.sentence)",
                violations: [Violation(pointer: "", rule: "JSON-02", detail: syntax.sentence)]
            )
        case .notAnObject(let kind):
            self.init(kind: .malformedJSON, detail: "the body must be a JSON object, not \(kind)")
        case .duplicate(let name):
            self.init(kind: .malformedJSON, detail: "the member \(name.quotedForDetail) is there twice")
        case .badName:
            self.init(kind: .malformedJSON, detail: "a member's name is no Unicode text")
        }
    }
}

extension String {
    /// The text as a reference token of a JSON Pointer (RFC 6901 §3).
    fileprivate var pointerEscaped: String {
        var result = ""
        for scalar in unicodeScalars.prefix(64) {
            switch scalar {
            case "~": result += "~0"
            case "/": result += "~1"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// Random identifiers (RFC 9562 §5.4, version 4).
enum UUIDText {
    /// A new one, lower case.
    static func make() -> String {
        let digits = Array("0123456789abcdef".utf8)
        var high = UInt64.random(in: .min ... .max)
        var low = UInt64.random(in: .min ... .max)
        high = high & ~0xF000 | 0x4000
        low = low & ~(0b11 << 62) | 0b10 << 62
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for index in 0..<32 {
            if index == 8 || index == 12 || index == 16 || index == 20 { text.append(UInt8(ascii: "-")) }
            let word = index < 16 ? high : low
            text.append(digits[Int(word >> UInt64(60 - 4 * (index % 16)) & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}
