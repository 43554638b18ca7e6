/// The data of one type of event as a Swift value.
///
/// ```swift
/// struct ServiceRegistered: EventPayload {
///     typealias Emitter = Registry
///     static let eventType = EventType("com.example.registry.service.registered", version: 1, kind: .fact)
///     var service: String
///     var owner: String?
/// }
/// ```
///
/// It travels as JSON, as `Codable` says: `Date` as RFC 3339 text to the microsecond, `Data` as base64, members in the
/// order of their names so that the same value is always the same bytes. Members that the value does not know are ignored
/// when it is read.
public protocol EventPayload: Codable, Sendable {
    /// The service that emits it; ``AnyService``, unless said otherwise, is every one.
    ///
    /// ``ServicePublisher`` publishes only what its own service emits; anything else does not compile.
    associatedtype Emitter: EventService = AnyService
    /// Name, version and kind of the events that carry it; two payloads never have the same name and version.
    static var eventType: EventType { get }
}

/// A service as others see it in events: a name and a source.
///
/// It is a type without values; what it does with events is a ``ServiceEvents``.
///
/// ```swift
/// enum Registry: EventService {
///     static let name = "registry"
///     static let source = "/platform/registry"
/// }
/// ```
public protocol EventService: Sendable {
    /// Its name within the tenant, which is also that of its subscription: as ``SubscriptionName/rule`` says.
    static var name: String { get }
    /// The `source` of its events, a URI-reference; with an event's id it names the event everywhere.
    static var source: String { get }
}

/// The emitter of payloads that every service may publish, such as a command that many send.
public enum AnyService: EventService {
    /// No service has this name.
    public static var name: String { "" }
    /// No event has this source.
    public static var source: String { "" }
}

/// Why an event does not hold the payload that was asked for.
public struct PayloadError: Error, Sendable, CustomStringConvertible {
    /// The type that the payload belongs to.
    public let type: String
    /// Where in the data, as a JSON Pointer (RFC 6901); empty for the data as a whole.
    public let pointer: String
    /// What is wrong there.
    public let reason: String

    /// Type, place and reason in one line.
    public var description: String {
        pointer.isEmpty ? "no payload of \(type): \(reason)" : "no payload of \(type): at \(pointer): \(reason)"
    }
}
