public import CloudEvents
package import JetStream

/// The lane of an event: how urgent it is, and the third token of its subject.
public enum Lane: String, Sendable, CaseIterable {
    case high, normal, low

    /// The lane that the event's `priority` extension asks for; anything but a lane's name means `normal`.
    public init(of event: CloudEvent) {
        guard let value = event.extensions["priority"], case .string(let text) = value else {
            self = .normal
            return
        }
        self = Lane(rawValue: text) ?? .normal
    }
}

/// Where an event goes in the stream: `<prefix>.<tenant>.<lane>.<type>`.
///
/// The type's dots separate tokens, so that NATS wildcards work on types. A type whose encoded form exceeds 400 bytes
/// becomes the single token `=sha256-<64 hex digits>`: a server's control line is limited to 4096 bytes, and a filter on
/// such a type is decided by the reader.
package enum EventRoute {
    /// Most bytes of an encoded type in a subject.
    package static let typeBytesMax = 400

    /// The subject of an event.
    package static func subject(prefix: SubjectPrefix, tenant: TenantName, lane: Lane, type: String) -> Subject {
        var builder = SubjectBuilder(prefix: prefix)
        builder.append(token: tenant.text)
        builder.append(token: lane.rawValue)
        let head = builder.count
        builder.append(dotted: type)
        if builder.count - head - 1 > typeBytesMax {
            builder.truncate(to: head)
            builder.append(sha256: SHA256Digest(type).bytes)
        }
        return builder.finish()
    }
}

/// The identity of an event as JetStream's deduplication sees it.
///
/// CloudEvents makes (source, id) the identity (spec §3.1.1); tenants are kept apart on top of it. The three are joined by
/// NUL, which none of them can contain, and digested: no two identities share a `Nats-Msg-Id`, and none is client-chosen.
package enum EventIdentity {
    /// The `Nats-Msg-Id` of an event: 32 characters of base64url.
    package static func messageID(tenant: TenantName, source: String, id: String) -> HeaderValue {
        let count = tenant.text.utf8.count + source.utf8.count + id.utf8.count + 2
        let digest = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { buffer in
            var end = buffer.initialize(fromContentsOf: tenant.text.utf8)
            buffer.initializeElement(at: end, to: 0)
            end += 1
            end += buffer[end...].initializePrefix(of: source)
            buffer.initializeElement(at: end, to: 0)
            end += 1
            end += buffer[end...].initializePrefix(of: id)
            return SHA256Digest(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<end]))
        }
        return .literal(digest.shortText)
    }
}

extension Slice where Base == UnsafeMutableBufferPointer<UInt8> {
    /// Writes the UTF-8 bytes of `text` at the start and returns how many.
    fileprivate func initializePrefix(of text: String) -> Int {
        let target = UnsafeMutableBufferPointer(rebasing: self)
        return target.initialize(fromContentsOf: text.utf8)
    }
}
