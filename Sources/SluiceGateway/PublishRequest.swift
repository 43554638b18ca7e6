import CloudEvents
import EventBus
import JetStream
import NIOHTTP1

/// A request on one of the publishing paths, as far as its head tells.
///
/// A class, since it is handed from state to state: one reference instead of a dozen.
final class PublishRequest: Sendable {
    /// Which of the publishing paths it took.
    enum Route: Sendable, Equatable {
        /// `POST /v1/events` and `POST /`: CloudEvents in any of the three modes.
        case events
        /// `POST /events/publish`: the short form.
        case shortForm
        /// `POST /topics/{topic}:publish`: CloudEvents for the tenant of that name, answered as Event Grid does.
        case eventGrid
    }

    let route: Route
    let head: HTTPRequestHead
    let tenant: TenantName
    /// `X-Tenant-ID` was there: the short form's `tenant_id` must then agree.
    let tenantIsExplicit: Bool
    let contentType: String?
    /// `Prefer: return=minimal` (RFC 7240 §4.2).
    let wantsMinimal: Bool
    /// `?on-invalid=skip`: publish the good events of a batch although others are bad.
    let skipsInvalid: Bool
    /// `?source=`, of the short form.
    let source: String?
    /// The client's `X-Request-Id`, if it is fit to be echoed.
    let requestID: String?
    let trace: TraceContext
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    let expectsContinue: Bool
    /// Whether the body is a batch.
    let isBatch: Bool
    let bodyLimit: BodyLimit

    /// Tells whether the publishing path takes this request; anything else is left to the other routes.
    static func route(_ head: HTTPRequestHead) -> Route? {
        guard head.method == .POST else { return nil }
        let uri = head.uri.utf8
        let path = uri.firstIndex(of: UInt8(ascii: "?")).map { uri[..<$0] } ?? uri[...]
        switch path.count {
        case 1 where path.elementsEqual("/".utf8): return .events
        case 10 where path.elementsEqual("/v1/events".utf8): return .events
        case 15 where path.elementsEqual("/events/publish".utf8): return .shortForm
        default: return topic(head) == nil ? nil : .eventGrid
        }
    }

    /// The topic of a request that publishes on Event Grid's paths.
    static func topic(_ head: HTTPRequestHead) -> String? {
        guard head.uri.utf8.starts(with: "/topics/".utf8) else { return nil }
        let path = head.uri.utf8.prefix { $0 != UInt8(ascii: "?") }
        guard case .topic(let topic)? = DeliveryTarget(path: String(decoding: path, as: UTF8.self)) else { return nil }
        return topic
    }

    /// Reads the head of a publishing request.
    ///
    /// - Throws: the problem to answer with, before any byte of the body is looked at.
    init(
        _ route: Route,
        _ head: HTTPRequestHead,
        _ settings: PublishSettings,
        eventBytesMax: Int
    ) throws(Problem) {
        var fields = KnownFields()
        for (name, value) in head.headers { fields.note(name, value) }
        try RequestRules.check(
            head,
            hosts: fields.hosts,
            host: fields.host,
            transferCoding: fields.transferCoding
        )
        try settings.check(head.uri)
        try settings.check(expectation: fields.expectation)
        if fields.contentTypes > 1 {
            throw Problem(kind: .malformedRequest, detail: "Content-Type is given more than once")
        }
        if let coding = fields.contentEncoding, !coding.isASCIIEqual(to: "identity") {
            throw Problem(
                kind: .unsupportedMediaType,
                detail: "Content-Encoding \(coding.quotedForDetail) is not supported",
                fields: [("Accept-Encoding", "identity")]
            )
        }
        let query = try QueryParameters(head.uri, allowed: route.parameters)
        self.route = route
        self.head = head
        if let topic = route == .eventGrid ? Self.topic(head) : nil {
            guard let tenant = TenantName(topic) else {
                throw Problem(kind: .notFound, detail: "there is no such topic")
            }
            (self.tenant, self.tenantIsExplicit) = (tenant, true)
        } else {
            (self.tenant, self.tenantIsExplicit) = try Self.tenant(fields)
        }
        self.contentType = fields.contentType
        self.wantsMinimal = fields.prefersMinimal
        self.skipsInvalid = try Self.skipsInvalid(query)
        self.source = query["source"]
        self.requestID = fields.requestID
        self.trace = TraceContext(parent: fields.traceparent, state: fields.tracestate)
        self.expectsContinue = fields.expectation != nil && head.isHTTP11
        self.isBatch = route != .shortForm && HTTPBinding.contentMode(contentType: fields.contentType) == .batch
        self.bodyLimit = settings.bodyLimit(isBatch: isBatch, eventBytesMax: eventBytesMax)
        try settings.check(length: fields.contentLength, bodyLimit)
    }

    private static func tenant(_ fields: KnownFields) throws(Problem) -> (TenantName, Bool) {
        guard let text = fields.tenant else { return (.default, false) }
        guard fields.tenants == 1 else {
            throw Problem(kind: .invalidTenant, detail: "X-Tenant-ID is given more than once")
        }
        guard let name = TenantName(text) else {
            throw Problem(
                kind: .invalidTenant,
                detail: "X-Tenant-ID \(text.quotedForDetail) is not a tenant name: \(TenantName.rule)"
            )
        }
        return (name, true)
    }

    private static func skipsInvalid(_ query: QueryParameters) throws(Problem) -> Bool {
        switch query["on-invalid"] {
        case nil, "reject": return false
        case "skip": return true
        case .some(let value):
            throw Problem(
                kind: .invalidParameter,
                detail: "on-invalid=\(value.quotedForDetail) is unknown: it is 'skip' or 'reject'"
            )
        }
    }
}

extension PublishRequest.Route {
    /// The query parameters that it knows.
    fileprivate var parameters: [String] {
        switch self {
        case .events: ["on-invalid"]
        case .shortForm: ["source"]
        // Every version is answered in the same way.
        case .eventGrid: ["api-version"]
        }
    }
}

/// The header fields the publishing path knows, gathered in one pass.
struct KnownFields {
    var contentType: String?
    var contentTypes = 0
    var contentEncoding: String?
    var tenant: String?
    var tenants = 0
    var requestID: String?
    var traceparent: String?
    var tracestate: String?
    var prefersMinimal = false
    var expectation: String?
    var contentLength: String?
    var host: String?
    var hosts = 0
    var transferCoding: String?

    /// Takes note of a field; the length of its name decides which it can be.
    mutating func note(_ name: String, _ value: String) {
        switch name.utf8.count {
        case 4 where name.isASCIIEqual(to: "host"):
            host = value
            hosts += 1
        case 6:
            if name.isASCIIEqual(to: "prefer") {
                prefersMinimal = prefersMinimal || Self.asksForMinimal(value)
            } else if name.isASCIIEqual(to: "expect") {
                let value = Self.trimmed(value)
                expectation = expectation.map { $0 + ", " + value } ?? value
            }
        case 10 where name.isASCIIEqual(to: "tracestate"): tracestate = Self.trimmed(value)
        case 11:
            if name.isASCIIEqual(to: "traceparent") {
                traceparent = Self.trimmed(value)
            } else if name.isASCIIEqual(to: "x-tenant-id") {
                tenant = Self.trimmed(value)
                tenants += 1
            }
        case 12:
            if name.isASCIIEqual(to: "content-type") {
                contentType = value
                contentTypes += 1
            } else if name.isASCIIEqual(to: "x-request-id") {
                requestID = RequestID.echo(value)
            }
        case 14 where name.isASCIIEqual(to: "content-length"): contentLength = value
        case 17 where name.isASCIIEqual(to: "transfer-encoding"):
            transferCoding = transferCoding.map { $0 + ", " + value } ?? value
        case 16 where name.isASCIIEqual(to: "content-encoding"): contentEncoding = Self.trimmed(value)
        default: break
        }
    }

    /// The value without the white space behind it, which is not part of it (RFC 9110 §5.5); the parser takes what is before.
    private static func trimmed(_ value: String) -> String {
        let end = value.utf8.lastIndex { $0 != UInt8(ascii: " ") && $0 != UInt8(ascii: "\t") }
        guard let end, value.utf8.index(after: end) != value.endIndex else { return value }
        return String(value[...end])
    }

    /// RFC 7240: preferences are separated by commas, may carry parameters, and their names ignore case.
    private static func asksForMinimal(_ value: String) -> Bool {
        value.split(separator: ",").contains { preference in
            let main = preference.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" && $0 != "\"" }
            return main.isASCIIEqual(to: "return=minimal")
        }
    }
}

/// Request ids: the client's own if it is harmless, else one of ours.
enum RequestID {
    /// The client's id if it is 1 to 128 visible ASCII characters, else `nil`.
    static func echo(_ text: String) -> String? {
        let bytes = text.utf8
        guard (1...128).contains(bytes.count), bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        return text
    }

    /// A new id: 16 hexadecimal digits.
    static func make() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

extension StringProtocol {
    /// Compares with a lower-case ASCII text, ignoring the case of this one.
    func isASCIIEqual(to lower: StaticString) -> Bool {
        guard utf8.count == lower.utf8CodeUnitCount else { return false }
        var position = lower.utf8Start
        for byte in utf8 {
            let folded = (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
            if folded != position.pointee { return false }
            position += 1
        }
        return true
    }

    /// Whether the text starts with a lower-case ASCII prefix, ignoring case.
    func hasASCIIPrefix(_ lower: StaticString) -> Bool {
        guard utf8.count >= lower.utf8CodeUnitCount else { return false }
        var position = lower.utf8Start
        for byte in utf8.prefix(lower.utf8CodeUnitCount) {
            let folded = (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
            if folded != position.pointee { return false }
            position += 1
        }
        return true
    }

    /// The text in quotes for an error message: at most 64 characters, anything but printable ASCII as `\u{…}`.
    var quotedForDetail: String {
        var text = "'"
        for scalar in unicodeScalars.prefix(64) {
            if scalar.isASCII && (0x20..<0x7F).contains(scalar.value) {
                text.unicodeScalars.append(scalar)
            } else {
                text += "\\u{\(String(scalar.value, radix: 16))}"
            }
        }
        return unicodeScalars.count > 64 ? text + "…'" : text + "'"
    }
}
