import EventBus
import NIOCore
import NIOHTTP1

/// The limits and times of the publishing path.
struct PublishSettings: Sendable {
    /// Most bytes of a request target: longer ones are 414.
    static let targetBytesMax = 8 * 1024
    /// Most bytes of all header fields together, and most fields: more is 431.
    static let headerBytesMax = 80 * 1024
    static let headerFieldsMax = 256
    /// Most bytes of a chunked body that are not in its chunks, besides a few for each byte that is.
    ///
    /// Up to 64 KiB of the next requests may be read together with the body's end, and are not told apart from it.
    static let framingBytesMax = 80 * 1024

    /// Most bytes of a request body.
    let bodyBytesMax: Int
    /// How long a connection may be idle.
    let idleTimeout: TimeAmount
    /// How long a request's head may take to arrive, from its first byte.
    let headerTimeout: TimeAmount
    /// How long a request may take to arrive, with ``bodyBytesPerSecondMin`` on top for its body.
    let requestTimeout = TimeAmount.seconds(30)
    /// The slowest a large body may come, in bytes a second.
    static let bodyBytesPerSecondMin = 16 * 1024
    /// How long a client may leave its answers untaken.
    let writeTimeout = TimeAmount.seconds(30)
    /// Most bytes of bodies that are arriving, for one event loop.
    static let bodyBytesInAllMax = 256 << 20
    /// What a request for one event may have beyond the event's own limit, in bytes: white space, the short form's names.
    static let singleBodySlack = 64 * 1024
    /// Most bytes of a refused request's body that are read to keep its connection.
    static let discardedBytesMax = 64 * 1024
    /// How long a connection is read on after its last answer.
    let lingerTimeout = TimeAmount.seconds(2)

    init(_ configuration: GatewayConfiguration) {
        bodyBytesMax = configuration.maxBodyBytes
        headerTimeout = .milliseconds(Int64(configuration.headerTimeoutSeconds * 1000))
        idleTimeout = .milliseconds(Int64(configuration.idleTimeoutSeconds * 1000))
    }

    /// Refuses a request target that is too long.
    func check(_ target: String) throws(Problem) {
        let count = target.utf8.count
        guard count > Self.targetBytesMax else { return }
        throw Problem(
            kind: .uriTooLong,
            detail: "the request target has \(count) bytes",
            limit: Self.targetBytesMax
        )
    }

    /// Refuses an expectation that is not understood (RFC 9110 §10.1.1).
    func check(expectation: String?) throws(Problem) {
        guard let expectation, !expectation.isASCIIEqual(to: "100-continue") else { return }
        throw Problem(
            kind: .expectationFailed,
            detail: "the only expectation known here is 100-continue, not \(expectation.quotedForDetail)"
        )
    }

    /// How long a client may take for an answer of so many bytes.
    func writeAllowance(_ bytes: Int) -> TimeAmount {
        writeTimeout + .seconds(Int64(bytes / Self.bodyBytesPerSecondMin))
    }

    /// How large a body may be whatever it is.
    var bodyLimit: BodyLimit { BodyLimit(bytes: bodyBytesMax, told: bodyBytesMax) }

    /// How large a body may be: only a batch may be larger than the largest event.
    func bodyLimit(isBatch: Bool, eventBytesMax: Int) -> BodyLimit {
        let single = eventBytesMax + Self.singleBodySlack
        return isBatch || single >= bodyBytesMax
            ? bodyLimit : BodyLimit(bytes: single, told: eventBytesMax)
    }

    /// Refuses a body that announces itself as too large, before any of it is read.
    func check(length: String?, _ limit: BodyLimit) throws(Problem) {
        guard let length else { return }
        let count = Int(length.prefix { $0 != " " && $0 != "\t" }) ?? .max
        if count > bodyBytesMax { throw bodyLimit.problem }
        if count > limit.bytes { throw limit.problem }
    }
}

/// The bound of a request's body.
struct BodyLimit: Sendable {
    /// Most bytes that are read.
    let bytes: Int
    /// The limit of the configuration that is behind it, which the client is told.
    let told: Int

    var problem: Problem {
        let what = bytes == told ? "the request body" : "the event"
        return Problem(kind: .tooLarge, detail: "\(what) has more than \(told) bytes", limit: told, closes: true)
    }
}

extension HTTPRequestHead {
    /// Whether the client speaks HTTP/1.1, so that an interim response makes sense.
    var isHTTP11: Bool { version.major == 1 && version.minor >= 1 }

    /// Whether a body follows the head.
    var announcesBody: Bool {
        headers.contains(name: "transfer-encoding") || (headers.first(name: "content-length") ?? "0") != "0"
    }
}

extension KnownFields {
    /// The request's own id, if it may be echoed.
    static func requestID(_ head: HTTPRequestHead) -> String? {
        head.headers.first(name: "x-request-id").flatMap(RequestID.echo)
    }

    /// The tenant that a request names, the default one if it names none; `nil` if the name is not valid.
    static func tenant(_ head: HTTPRequestHead) -> TenantName? {
        if let topic = PublishRequest.topic(head) { return TenantName(topic) }
        guard let name = head.headers.first(name: "x-tenant-id") else { return .default }
        return TenantName(name)
    }
}
