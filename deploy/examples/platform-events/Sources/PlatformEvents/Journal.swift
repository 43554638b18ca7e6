import EventBus
import Synchronization

/// What happened, as the services tell it.
final class Journal: Sendable {
    struct Entry: Sendable {
        let service: String
        let correlationID: String?
    }

    private let entries = Mutex<[Entry]>([])

    /// Prints a line and keeps who wrote it and to which story it belongs.
    func note(_ service: String, _ text: String, _ context: EventContext) {
        print(Self.line(service, text))
        entries.withLock { $0.append(Entry(service: service, correlationID: context.correlationID)) }
    }

    /// The services that took part in a story, in the order of their first entries: an event may come twice.
    func services(of story: String) -> [String] {
        entries.withLock { entries in
            var services: [String] = []
            for entry in entries where entry.correlationID == story && !services.contains(entry.service) {
                services.append(entry.service)
            }
            return services
        }
    }

    static func line(_ who: String, _ text: String) -> String {
        who + String(repeating: " ", count: max(1, 14 - who.count)) + text
    }
}
