import CNATS
import WorkerThreads

/// A subject for questions between replicas: made by a total encoder only, like ``Subject``.
package struct ServiceSubject: Sendable, Hashable, CustomStringConvertible {
    package let text: String

    /// Joins the prefix and the encoded form of every token.
    package init(prefix: SubjectPrefix, tokens: [String]) {
        text = Subject(prefix: prefix, tokens: tokens).text
    }

    package var description: String { text }
}

/// Takes one question; the answer may be given later, on any thread, once.
package typealias ServiceHandler =
    @Sendable (_ question: [UInt8], _ answer: @escaping @Sendable ([UInt8]) -> Void) -> Void

/// A service that is being offered; it also ends when this value goes.
package final class ServiceHandle: Sendable {
    private let end: @Sendable () -> Void

    init(_ end: @escaping @Sendable () -> Void) { self.end = end }

    deinit { end() }

    /// Stops the service; questions that have come already may still reach the handler.
    package func stop() { end() }
}

extension JetStreamClient {
    /// Answers questions on a subject, over every connection, until the handle is stopped or gone.
    ///
    /// `handler` is called on a thread of the client, one call at a time; it must return soon.
    package func serve(_ subject: ServiceSubject, _ handler: @escaping ServiceHandler) -> ServiceHandle {
        let core = core
        let id = core.services.withLock { $0.add(subject, handler, core) }
        core.wake.signal()
        return ServiceHandle {
            core.services.withLock { $0.remove(id) }
            core.wake.signal()
        }
    }

    /// Asks a question and returns the answer.
    ///
    /// - Throws: ``JetStreamError``; `.noResponders` at once if nobody serves the subject.
    package func ask(
        _ subject: ServiceSubject,
        _ payload: [UInt8],
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> [UInt8] {
        try await request(subject: subject.text, payload, timeout, isQuestion: true)
    }
}

/// The services that are offered.
struct ServiceTable: Sendable {
    private(set) var services: [Service] = []
    private var nextID: UInt64 = 0
    /// Counts the changes.
    private(set) var version: UInt64 = 0

    mutating func add(_ subject: ServiceSubject, _ handler: @escaping ServiceHandler, _ core: ClientCore) -> UInt64 {
        nextID += 1
        version += 1
        services.append(Service(id: nextID, subject: subject, handler: handler, core: core))
        return nextID
    }

    mutating func remove(_ id: UInt64) {
        version += 1
        services.removeAll { $0.id == id }
    }
}

/// An answer on its way out.
struct ServiceAnswer: Sendable {
    /// Came from the network, and is checked.
    let subject: String
    let payload: [UInt8]

    var cost: Int { subject.utf8.count + payload.count + 64 }
}

/// One service; what comes for it comes on a thread of cnats'.
final class Service: Sendable {
    let id: UInt64
    let subject: ServiceSubject
    private let handler: ServiceHandler
    private let core: ClientCore

    init(id: UInt64, subject: ServiceSubject, handler: @escaping ServiceHandler, core: ClientCore) {
        self.id = id
        self.subject = subject
        self.handler = handler
        self.core = core
    }

    private func handle(_ message: OpaquePointer) {
        let view = MessageView(message)
        guard let reply = view.reply, reply.count <= AckSubject.countMax, AckSubject.isPlain(reply) else { return }
        let target = String(decoding: reply, as: UTF8.self)
        let core = core
        handler(Array(view.payload)) { core.enqueue(ServiceAnswer(subject: target, payload: $0)) }
    }

    static let receive: natsMsgHandler = { _, _, message, closure in
        guard let message else { return }
        defer { natsMsg_Destroy(message) }
        guard let closure else { return }
        Unmanaged<Service>.fromOpaque(closure).takeUnretainedValue().handle(message)
    }

    static let end: natsOnCompleteCB = { closure in
        if let closure { Unmanaged<Service>.fromOpaque(closure).release() }
    }
}
