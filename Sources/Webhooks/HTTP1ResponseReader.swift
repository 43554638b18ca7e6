/// Reads one HTTP/1.1 answer after the other from a stream of bytes (RFC 9112); pure, strict and bounded (S-07).
///
/// Head, interim answers and trailers together have at most 16 KiB; 64 KiB of a body are read, one KiB of it kept, as it
/// came; nothing is decoded but the chunks.
package struct HTTP1ResponseReader {
    /// What the bytes so far are.
    package enum Outcome: Equatable {
        case incomplete
        /// An answer; `isReusable` tells that another request may follow on the connection.
        case complete(WebhookResponse, isReusable: Bool)
        case fault(WebhookFailure.Kind, String)
    }

    static let headBytesMax = 16 << 10
    static let bodyBytesMax = 64 << 10
    static let bodyBytesKept = 1 << 10
    private static let interimMax = 16

    private var wanted: [String] = []
    private var head: [UInt8] = []
    private var headBytes = 0
    private var interims = 0
    private var isInBody = false
    private var framing = HTTP1ResponseHead.Framing.none
    private var keepsAlive = false
    private var bodyLeft = 0
    private var bodyBytes = 0
    private var chunks = ChunkReader()
    private var response = WebhookResponse(status: 0)

    /// Whether a byte of the answer has come.
    package private(set) var hasStarted = false

    package init() {}

    /// Begins the next answer.
    ///
    /// - Parameter wanted: names of fields in lower case.
    package mutating func start(wanted: [String]) {
        self.wanted = wanted
        head.removeAll(keepingCapacity: true)
        headBytes = 0
        interims = 0
        isInBody = false
        bodyBytes = 0
        hasStarted = false
    }

    /// Takes what came.
    package mutating func read(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        var rest = bytes
        if !rest.isEmpty { hasStarted = true }
        while !isInBody {
            guard let head = takeHead(&rest) else {
                return headBytes > Self.headBytesMax ? Self.tooLarge : .incomplete
            }
            if let outcome = enter(head, hasMore: !rest.isEmpty) { return outcome }
        }
        return readBody(rest)
    }

    /// The stream has ended.
    package mutating func end() -> Outcome {
        if isInBody, framing == .untilClose { return .complete(response, isReusable: false) }
        return .incomplete
    }

    private static let tooLarge = Outcome.fault(
        .responseTooLarge,
        "the head of the answer is over \(headBytesMax) bytes"
    )

    private enum Head {
        case parsed(HTTP1ResponseHead)
        case fault(String)
    }

    /// Takes a whole head from the front; nil if its end has not come, or it is too long.
    private mutating func takeHead(_ bytes: inout UnsafeRawBufferPointer) -> Head? {
        if head.isEmpty, let end = Self.headEnd(bytes, from: 0) {
            headBytes += end
            guard headBytes <= Self.headBytesMax else { return nil }
            let head = Self.parse(UnsafeRawBufferPointer(rebasing: bytes[..<end]), wanted)
            bytes = UnsafeRawBufferPointer(rebasing: bytes[end...])
            return head
        }
        let old = head.count
        let room = Self.headBytesMax - headBytes - old
        head.append(contentsOf: bytes.prefix(room + 1))
        let end = head.withUnsafeBytes { Self.headEnd($0, from: max(0, old - 3)) }
        guard let end, headBytes + end <= Self.headBytesMax else {
            if head.count > Self.headBytesMax - headBytes { headBytes = Self.headBytesMax + 1 }
            return nil
        }
        headBytes += end
        let parsed = head.withUnsafeBytes { Self.parse(UnsafeRawBufferPointer(rebasing: $0[..<end]), wanted) }
        bytes = UnsafeRawBufferPointer(rebasing: bytes[(end - old)...])
        head.removeAll(keepingCapacity: true)
        return parsed
    }

    private static func parse(_ bytes: UnsafeRawBufferPointer, _ wanted: [String]) -> Head {
        do throws(HTTP1ResponseHead.Fault) {
            return .parsed(try HTTP1ResponseHead(bytes, wanted: wanted))
        } catch {
            return .fault(error.reason)
        }
    }

    /// The position after the first empty line.
    private static func headEnd(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
        var index = start
        let count = bytes.count
        while index + 1 < count {
            if bytes[index] == UInt8(ascii: "\n") {
                if bytes[index + 1] == UInt8(ascii: "\n") { return index + 2 }
                if index + 2 < count, bytes[index + 1] == UInt8(ascii: "\r"), bytes[index + 2] == UInt8(ascii: "\n") {
                    return index + 3
                }
            }
            index += 1
        }
        return nil
    }

    /// Goes on after a head; nil if there is more to read.
    private mutating func enter(_ head: Head, hasMore: Bool) -> Outcome? {
        guard case .parsed(let head) = head else {
            guard case .fault(let reason) = head else { return nil }
            return .fault(.badResponse, "the sink sent \(reason)")
        }
        if head.status < 200 {
            guard head.status != 101 else { return .fault(.badResponse, "the sink switched protocols unasked") }
            interims += 1
            guard interims <= Self.interimMax else {
                return .fault(.responseTooLarge, "the sink sent more than \(Self.interimMax) interim answers")
            }
            return hasMore ? nil : .incomplete
        }
        isInBody = true
        framing = head.framing
        keepsAlive = head.keepsAlive
        let delay = head.retryAfter.flatMap { RetryAfter.delay($0, now: SystemCalls.unixTime()) }
        response = WebhookResponse(status: head.status, retryAfter: delay, fields: head.wanted)
        switch framing {
        case .none: bodyLeft = 0
        case .length(let length): bodyLeft = length
        case .chunked: chunks = ChunkReader()
        case .untilClose: break
        }
        return nil
    }

    private mutating func readBody(_ bytes: UnsafeRawBufferPointer) -> Outcome {
        switch framing {
        case .none: return complete(leftover: !bytes.isEmpty)
        case .length:
            let part = min(bodyLeft, bytes.count)
            bodyLeft -= part
            keep(UnsafeRawBufferPointer(rebasing: bytes[..<part]))
            if bodyLeft == 0, bodyBytes <= Self.bodyBytesMax { return complete(leftover: bytes.count > part) }
        case .untilClose: keep(bytes)
        case .chunked:
            var rest = bytes
            while true {
                switch chunks.next(&rest) {
                case .data(let part): keep(part)
                case .end: return complete(leftover: !rest.isEmpty)
                case .fault: return .fault(.badResponse, "the sink sent a malformed chunked body")
                case .needsMore:
                    guard headBytes + chunks.overhead <= Self.headBytesMax else { return Self.tooLarge }
                    return truncated ?? .incomplete
                }
                if let truncated { return truncated }
            }
        }
        return truncated ?? .incomplete
    }

    private mutating func keep(_ bytes: UnsafeRawBufferPointer) {
        bodyBytes += bytes.count
        guard response.status >= 300, response.bodyPrefix.count < Self.bodyBytesKept else { return }
        response.bodyPrefix.append(contentsOf: bytes.prefix(Self.bodyBytesKept - response.bodyPrefix.count))
    }

    /// The answer, if more of the body came than is read.
    private var truncated: Outcome? {
        guard bodyBytes > Self.bodyBytesMax else { return nil }
        var response = response
        response.isTruncated = true
        return .complete(response, isReusable: false)
    }

    private func complete(leftover: Bool) -> Outcome { .complete(response, isReusable: keepsAlive && !leftover) }
}
