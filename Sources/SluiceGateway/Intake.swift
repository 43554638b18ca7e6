import CloudEvents
import EventBus
import JetStream
import NIOHTTP1

/// From a complete request to messages for the stream, or to the answer that says why not.
///
/// Pure: bytes in, messages out. Nothing here waits or does I/O.
struct Intake: Sendable {
    /// The stream that takes the events.
    let stream: StreamName
    /// The first tokens of every subject.
    let prefix: SubjectPrefix
    /// Most bytes of a stored event.
    var eventBytesMax: Int
    /// Most events of a batch.
    let batchEventsMax: Int

    /// One event ready for the stream.
    final class Single: Sendable {
        let id: String
        let source: String
        let type: String
        let tenant: TenantName
        let message: OutboundMessage

        init(_ event: CloudEvent, _ tenant: TenantName, _ message: OutboundMessage) {
            self.tenant = tenant
            id = event.id
            source = event.source
            type = event.type
            self.message = message
        }
    }

    /// What a request amounts to.
    enum Plan: Sendable {
        /// One event.
        case single(Single)
        /// A batch: an event or its problem for each entry, in request order.
        case batch([Result<Single, BatchFault>])
    }

    /// An entry of a batch that cannot be published.
    struct BatchFault: Error, Sendable {
        let problem: Problem
    }

    /// Reads the request's body; `trace` travels with the events.
    ///
    /// - Throws: the problem to answer with; nothing is published then.
    func read(
        _ request: PublishRequest,
        body: ArraySlice<UInt8>,
        trace: TraceContext
    ) throws(Problem) -> Plan {
        if request.route == .shortForm {
            return .single(try single(ShortForm.read(request, body: body, trace: trace)))
        }
        switch HTTPBinding.contentMode(contentType: request.contentType) {
        case .binary: return .single(try binary(request, body, trace))
        case .structured: return .single(try structured(request, body, trace))
        case .batch: return .batch(try batch(request, body, trace))
        case .unknownFormat:
            throw Self.unsupported(
                "Content-Type \((request.contentType ?? "").quotedForDetail) names a format that is not supported"
            )
        }
    }

    private func binary(
        _ request: PublishRequest,
        _ body: ArraySlice<UInt8>,
        _ trace: TraceContext
    ) throws(Problem) -> Single {
        let event: CloudEvent
        do {
            event = try HTTPBinding.decode(fields: request.head.headers, body: body)
        } catch {
            guard request.head.headers.contains(where: { $0.name.hasASCIIPrefix("ce-") }) else {
                throw Self.unsupported(
                    "neither a CloudEvents Content-Type nor ce- headers: send ce-specversion, ce-id, ce-source and "
                        + "ce-type, or application/cloudevents+json"
                )
            }
            throw Problem(error)
        }
        return try single(Draft(event: event, text: nil, tenant: request.tenant, trace: trace))
    }

    private func structured(
        _ request: PublishRequest,
        _ body: ArraySlice<UInt8>,
        _ trace: TraceContext
    ) throws(Problem) -> Single {
        let decoded: TextEvent
        do {
            decoded = try JSONFormat.decodeWithText(body)
        } catch {
            throw Problem(error)
        }
        return try single(
            Draft(event: decoded.event, text: decoded.text, tenant: request.tenant, trace: trace)
        )
    }

    private func batch(
        _ request: PublishRequest,
        _ body: ArraySlice<UInt8>,
        _ trace: TraceContext
    ) throws(Problem) -> [Result<Single, BatchFault>] {
        let entries: [BatchEntry]
        do {
            entries = try JSONFormat.decodeBatch(body, limits: JSONLimits(eventsMax: batchEventsMax))
        } catch {
            if error.violations.contains(where: { $0.rule == "BATCH-06" }) {
                throw Problem(
                    kind: .batchTooLarge,
                    detail: "the batch has more than \(batchEventsMax) events",
                    limit: batchEventsMax
                )
            }
            throw Problem(error)
        }
        return entries.map { entry in
            switch entry.result {
            case .failure(let invalid): return .failure(BatchFault(problem: Problem(invalid)))
            case .success(let event):
                let draft = Draft(event: event, text: entry.text, tenant: request.tenant, trace: trace)
                do throws(Problem) {
                    return .success(try single(draft))
                } catch {
                    return .failure(BatchFault(problem: error))
                }
            }
        }
    }

    /// An event on its way to a message.
    struct Draft: Sendable {
        let event: CloudEvent
        let text: ArraySlice<UInt8>?
        let tenant: TenantName
        let trace: TraceContext
    }

    private func single(_ draft: Draft) throws(Problem) -> Single {
        let message = EventMessage.make(
            draft.event,
            text: draft.text,
            tenant: draft.tenant,
            stream: stream,
            prefix: prefix,
            trace: draft.trace
        )
        if message.payload.count > eventBytesMax {
            throw Problem(.tooLarge(bytes: message.payload.count, limit: eventBytesMax))
        }
        return Single(draft.event, draft.tenant, message)
    }

    static func unsupported(_ detail: String) -> Problem {
        Problem(
            kind: .unsupportedMediaType,
            detail: detail,
            fields: [("Accept-Post", "application/cloudevents+json, application/cloudevents-batch+json")]
        )
    }
}
