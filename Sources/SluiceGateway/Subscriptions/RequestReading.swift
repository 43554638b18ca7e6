import CloudEvents
import EventBus
import EventFilters
import HTTPTypes
import Hummingbird
import NIOCore

/// What the pages of subscriptions and dead letters read of a request.
enum RequestReading {
    /// The tenant that the request is for, as publishing finds it: `X-Tenant-ID`, else the default one.
    static func tenant(_ request: Request) throws(Problem) -> TenantName {
        let names = request.headers[values: .tenantID]
        guard let text = names.first else { return .default }
        guard names.count == 1 else {
            throw Problem(kind: .invalidTenant, detail: "X-Tenant-ID is given more than once")
        }
        guard let tenant = TenantName(text) else {
            throw Problem(
                kind: .invalidTenant,
                detail: "X-Tenant-ID \(text.quotedForDetail) is not a tenant name: \(TenantName.rule)"
            )
        }
        return tenant
    }

    /// A subscription's id from the path.
    static func subscription(_ text: String) throws(Problem) -> SubscriptionName {
        guard let name = SubscriptionName(text) else {
            throw Problem(
                kind: .invalidParameter,
                detail: "\(text.quotedForDetail) is not a subscription's id: \(SubscriptionName.rule)"
            )
        }
        return name
    }

    /// The body, which must be JSON if it says what it is.
    ///
    /// - Parameter max: most bytes.
    static func json(_ request: Request, max: Int) async throws(Problem) -> [UInt8] {
        if let type = request.headers[.contentType], !isJSON(type) {
            throw Problem(
                kind: .unsupportedMediaType,
                detail: "the body must be application/json, not \(type.quotedForDetail)",
                fields: [("Accept-Post", "application/json")]
            )
        }
        if let coding = request.headers[.contentEncoding], !coding.isASCIIEqual(to: "identity") {
            throw Problem(
                kind: .unsupportedMediaType,
                detail: "Content-Encoding \(coding.quotedForDetail) is not supported",
                fields: [("Accept-Encoding", "identity")]
            )
        }
        do {
            return Array(try await request.body.collect(upTo: max).readableBytesView)
        } catch is NIOTooManyBytesError {
            throw Problem(kind: .tooLarge, detail: "the request body has more than \(max) bytes", limit: max)
        } catch {
            throw Problem(kind: .malformedRequest, detail: "the request body did not arrive", closes: true)
        }
    }

    /// The media type without parameters: `application/json`, or any other that is JSON by its suffix but events.
    private static func isJSON(_ contentType: String) -> Bool {
        let main = contentType.prefix { $0 != ";" }.filter { $0 != " " && $0 != "\t" }
        return main.isASCIIEqual(to: "application/json") || main.isASCIIEqual(to: "text/json")
    }

    /// The whole body as one JSON object.
    static func object(_ body: [UInt8], what: String) throws(Problem) -> [JSONTreeMember] {
        let tree: JSONTree
        do {
            tree = try JSONTree.parse(body[...])
        } catch {
            throw Problem(.syntax(error))
        }
        guard case .object(let members) = tree else {
            throw Problem(kind: .malformedJSON, detail: "\(what) is a JSON object, not \(tree.kindName)")
        }
        return members
    }

    /// Reads query parameters and collects what is wrong with their values, so that all of it is told at once.
    struct Query {
        private let parameters: QueryParameters
        private(set) var problems = ViolationList()

        /// - Throws: the problem of a query that cannot be read at all.
        init(_ target: String, allowed: [String]) throws(Problem) {
            parameters = try QueryParameters(target, allowed: allowed)
        }

        subscript(name: String) -> String? { parameters[name] }

        /// A whole number in a range.
        mutating func integer(_ name: String, _ range: ClosedRange<Int>, default value: Int) -> Int {
            guard let text = parameters[name] else { return value }
            guard let number = Int(text), range.contains(number), text.utf8.first != UInt8(ascii: "+") else {
                let bounds = "a whole number from \(range.lowerBound) to \(range.upperBound)"
                refuse(name, "must be \(bounds), not \(text.quotedForDetail)")
                return value
            }
            return number
        }

        /// Notes that a value is of no use.
        mutating func refuse(_ name: String, _ detail: String) {
            problems.add("/query/\(name)", "query", "\(name) \(detail)")
        }

        /// - Throws: everything that was noted.
        func check() throws(Problem) {
            if !problems.isEmpty { throw Problem(.invalidParameter, problems) }
        }
    }
}

extension Problem {
    /// A problem with everything that was found.
    init(_ kind: Kind, _ problems: ViolationList) {
        self.init(kind, problems.violations, omitted: problems.omitted)
    }

    /// A problem with everything that was found, which is at least one violation.
    init(_ kind: Kind, _ violations: [Violation], omitted: Int = 0) {
        let count = violations.count + omitted
        let pointer = violations[0].pointer
        let all = omitted > 0 ? ", the first \(violations.count) of them" : ""
        self.init(
            kind: kind,
            detail: count == 1
                ? (pointer.isEmpty ? "" : "\(pointer): ") + violations[0].detail
                : "\(count) rules are broken; violations lists them\(all)",
            violations: violations,
            violationsOmitted: omitted
        )
    }
}

extension Response {
    /// A JSON answer that no cache keeps.
    static func json(_ body: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status,
            headers: [.contentType: HTTPAnswer.MediaType.json, .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(bytes: body))
        )
    }
}

extension HTTPField.Name {
    /// The field that names the tenant.
    static let tenantID = HTTPField.Name.literal("X-Tenant-ID")
}
