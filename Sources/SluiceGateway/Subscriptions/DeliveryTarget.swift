/// What a path names of subscriptions, dead letters and Event Grid's topics.
///
/// One table for routing and for 405: a path is either one of these with its methods, or nothing (S-35).
enum DeliveryTarget: Sendable, Equatable {
    /// `/v1/subscriptions`
    case subscriptions
    /// `/v1/subscriptions/{id}`
    case subscription(String)
    /// `/v1/subscriptions/{id}/status`
    case status(String)
    /// `/v1/subscriptions/{id}:pause` and `:resume`
    case change(String, StateVerb)
    /// `/v1/subscriptions/{id}:receive` and what follows on it
    case pull(String, PullVerb)
    /// `/v1/consents/{token}`
    case consent(String)
    /// `/v1/dead-letters`
    case deadLetters
    /// `/v1/dead-letters/{sequence}`
    case deadLetter(String)
    /// `/v1/dead-letters:redrive`
    case redrive
    /// `/topics/{topic}:publish`, which the publishing path takes if the method is POST
    case topic(String)
    /// `/topics/{topic}/eventsubscriptions/{name}:receive` and what follows on it
    case topicPull(topic: String, name: String, PullVerb)

    /// What is done to a subscription itself.
    enum StateVerb: String, Sendable {
        case pause, resume
    }

    /// What a client that pulls does.
    enum PullVerb: String, Sendable {
        case receive, acknowledge, release, reject, renewLock
    }

    /// Takes a request's path, still percent-encoded; nil for any other.
    init?(path: String) {
        let pieces = path.utf8.split(separator: UInt8(ascii: "/"), maxSplits: 6, omittingEmptySubsequences: false)
        guard (3...5).contains(pieces.count), pieces[0].isEmpty else { return nil }
        var parts: [String] = []
        for piece in pieces.dropFirst() {
            guard let text = Self.decode(piece), !text.isEmpty else { return nil }
            parts.append(text)
        }
        switch parts[0] {
        case "v1": self.init(own: parts.dropFirst())
        case "topics": self.init(topic: parts.dropFirst())
        default: return nil
        }
    }

    private init?(own parts: ArraySlice<String>) {
        let parts = Array(parts)
        switch (parts[0], parts.count) {
        case ("subscriptions", 1): self = .subscriptions
        case ("dead-letters", 1): self = .deadLetters
        case ("dead-letters:redrive", 1): self = .redrive
        case ("consents", 2): self = .consent(parts[1])
        case ("dead-letters", 2): self = .deadLetter(parts[1])
        case ("subscriptions", 3) where parts[2] == "status": self = .status(parts[1])
        case ("subscriptions", 2):
            guard let (id, verb) = Self.split(parts[1]) else {
                self = .subscription(parts[1])
                return
            }
            if let verb = StateVerb(rawValue: verb) {
                self = .change(id, verb)
            } else if let verb = PullVerb(rawValue: verb) {
                self = .pull(id, verb)
            } else {
                return nil
            }
        default: return nil
        }
    }

    private init?(topic parts: ArraySlice<String>) {
        let parts = Array(parts)
        switch parts.count {
        case 1:
            guard let (topic, verb) = Self.split(parts[0]), verb == "publish" else { return nil }
            self = .topic(topic)
        case 3:
            guard parts[1] == "eventsubscriptions", let (name, verb) = Self.split(parts[2]),
                let verb = PullVerb(rawValue: verb)
            else { return nil }
            self = .topicPull(topic: parts[0], name: name, verb)
        default: return nil
        }
    }

    /// The methods it knows, as `Allow` has them.
    var methods: String {
        switch self {
        case .subscriptions: "GET, HEAD, POST"
        case .subscription: "DELETE, GET, HEAD, PUT"
        case .status, .deadLetters: "GET, HEAD"
        case .deadLetter: "DELETE, GET, HEAD"
        // No HEAD: asking for the answer's head alone must not give consent.
        case .consent: "GET, POST"
        case .change, .pull, .redrive, .topic, .topicPull: "POST"
        }
    }

    /// Whether errors have Event Grid's shape.
    var isEventGrid: Bool {
        switch self {
        case .topic, .topicPull: true
        default: false
        }
    }

    /// What stands before and behind the last colon; nil without one.
    private static func split(_ text: String) -> (name: String, verb: String)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        return (String(text[..<colon]), String(text[text.index(after: colon)...]))
    }

    /// Undoes percent-encoding once; nil for what is not printable ASCII or hides a slash.
    private static func decode(_ piece: Substring.UTF8View) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(piece.count)
        var rest = piece
        while var byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.popFirst()?.hexadecimalValue, let low = rest.popFirst()?.hexadecimalValue else {
                    return nil
                }
                byte = high << 4 | low
                guard byte != UInt8(ascii: "/") else { return nil }
            }
            guard (0x21...0x7E).contains(byte) else { return nil }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension UInt8 {
    /// The value of this byte as a hexadecimal digit of either case.
    fileprivate var hexadecimalValue: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x37
        case 0x61...0x66: self - 0x57
        default: nil
        }
    }
}
