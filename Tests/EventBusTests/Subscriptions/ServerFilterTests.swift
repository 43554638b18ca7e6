import CloudEvents
import EventBus
import EventFilters
import JetStream
import ServerFixtures
import Testing

@Suite struct ServerFilterTests {
    private func subjects(_ subscription: Subscription, kind: ServerFilter.Kind = .several) throws -> ServerFilter {
        ServerFilter(subscription, prefix: try #require(SubjectPrefix("ce")), kind: kind)
    }

    private func filter(
        _ types: [String],
        filters: String = "[]",
        source: String? = nil,
        kind: ServerFilter.Kind = .several,
        deliveryProtocol: DeliveryProtocol = .pull
    ) throws -> ServerFilter {
        var subscription = Subscription(tenant: try #require(TenantName("acme")))
        subscription.types = try types.map { try TypePattern($0) }
        subscription.filter = try EventFilter(filters)
        subscription.source = source
        subscription.deliveryProtocol = deliveryProtocol
        return try subjects(subscription, kind: kind)
    }

    @Test(arguments: [
        ([], ["ce.acme.*.>"], []), (["#"], ["ce.acme.*.>"], []), ([">"], ["ce.acme.*.>"], []),
        (["a.b"], ["ce.acme.*.a.b"], []), (["a.b", "a.c"], ["ce.acme.*.a.b", "ce.acme.*.a.c"], []),
        (["a.b", "a.b"], ["ce.acme.*.a.b"], []), (["a b"], ["ce.acme.*.a=20b"], []),
        (["a.*"], ["ce.acme.*.*", "ce.acme.*.a.*"], ["longTypes"]),
        (["a.>"], ["ce.acme.*.*", "ce.acme.*.a.>"], ["longTypes"]),
        (["a.#"], ["ce.acme.*.*", "ce.acme.*.a.>"], ["longTypes"]),
        (["a.#.*"], ["ce.acme.*.*", "ce.acme.*.a.>"], ["longTypes"]),
        (["a.#.b"], ["ce.acme.*.*", "ce.acme.*.a.>"], ["longTypes", "patterns"]),
        (["#.completed"], ["ce.acme.*.>"], ["patterns"]),
        (["a.*", "*.b"], ["ce.acme.*.*", "ce.acme.*.*.*"], ["joined", "longTypes"]),
        (["a.>", "a.b"], ["ce.acme.*.*", "ce.acme.*.a.>"], ["longTypes"]),
        (["#", "a.b"], ["ce.acme.*.>"], []),
    ])
    func `subjects are as narrow as the patterns allow`(
        types: [String],
        expected: [String],
        remainder: [String]
    ) throws {
        let filter = try filter(types)
        #expect(filter.subjects.map(\.text) == expected)
        #expect(filter.remainder.map(\.rawValue).sorted() == remainder)
        #expect(filter.isExact == remainder.isEmpty)
    }

    @Test(arguments: [
        (#"[{"exact":{"type":"a.b"}}]"#, ["ce.acme.*.a.b"], []),
        (#"[{"any":[{"exact":{"type":"a"}},{"exact":{"type":"b"}}]}]"#, ["ce.acme.*.a", "ce.acme.*.b"], []),
        (#"[{"exact":{"type":"a.b","subject":"s"}}]"#, ["ce.acme.*.a.b"], ["filters"]),
        (#"[{"prefix":{"type":"a.b."}}]"#, ["ce.acme.*.*", "ce.acme.*.a.b.>"], ["longTypes"]),
        (#"[{"prefix":{"type":"a.b"}}]"#, ["ce.acme.*.*", "ce.acme.*.a.>"], ["filters", "longTypes"]),
        (#"[{"suffix":{"type":".b"}}]"#, ["ce.acme.*.>"], ["filters"]),
        (#"[{"not":{"exact":{"type":"b"}}}]"#, ["ce.acme.*.>"], ["filters"]),
        (#"[{"any":[{"exact":{"type":"a"}},{"exact":{"id":"b"}}]}]"#, ["ce.acme.*.>"], ["filters"]),
        (#"[{"exact":{"id":"1"}},{"all":[{"exact":{"type":"b"}}]}]"#, ["ce.acme.*.b"], ["filters"]),
    ])
    func `filters on the type narrow as well`(filters: String, expected: [String], remainder: [String]) throws {
        let filter = try filter([], filters: filters)
        #expect(filter.subjects.map(\.text) == expected)
        #expect(filter.remainder.map(\.rawValue).sorted() == remainder)
    }

    @Test func `a source is never decided by the server, nor are filters beside types`() throws {
        #expect(try filter(["a"], source: "/s").remainder == [.source])
        #expect(try filter(["a"], filters: #"[{"exact":{"type":"a"}}]"#).remainder == [.filters])
    }

    @Test func `a long type is its digest`() throws {
        let long = String(repeating: "x", count: 401)
        let filter = try filter([long])
        #expect(filter.isExact)
        #expect(filter.subjects.count == 1)
        #expect(filter.subjects[0].text.hasPrefix("ce.acme.*.=sha256-"))
        #expect(try self.filter([long + ".*"]).subjects.map(\.text) == ["ce.acme.*.*"])
    }

    @Test func `one subject covers all where the server takes no more`() throws {
        #expect(try filter(["a.b", "a.c"], kind: .single).subjects.map(\.text) == ["ce.acme.*.a.*"])
        #expect(try filter(["a.b", "a.c"], kind: .single).remainder == [.joined])
        #expect(try filter(["a.b", "c"], kind: .single).subjects.map(\.text) == ["ce.acme.*.>"])
        #expect(try filter(["a.b.>"], kind: .single).subjects.map(\.text) == ["ce.acme.*.>"])
        #expect(try filter(["a.b"], kind: .single).isExact)
        let many = (0...ServerFilter.subjectsMax).map { "a.b\($0).c" }
        #expect(try filter(many).subjects.map(\.text) == ["ce.acme.*.a.*.c"])
    }

    @Test func `native clients get patterns without the subject for long types`() throws {
        let filter = try filter(["a.>", "b.*"], deliveryProtocol: .nats)
        #expect(filter.subjects.map(\.text) == ["ce.acme.*.a.>", "ce.acme.*.b.*"])
        #expect(filter.isExact)
        #expect(
            try self.filter(["a.#"], deliveryProtocol: .nats).subjects.map(\.text) == ["ce.acme.*.a", "ce.acme.*.a.>"]
        )
    }

    @Test(arguments: UInt64(0)..<60)
    func `the server never leaves out what the subscription wants`(seed: UInt64) throws {
        var random = SubscriptionGenerator(seed)
        let prefix = try #require(SubjectPrefix("ce"))
        var wanted = 0
        for _ in 0..<40 {
            let subscription = try random.subscription()
            let filters = [ServerFilter.Kind.single, .several].map {
                ServerFilter(subscription, prefix: prefix, kind: $0)
            }
            #expect(filters[0].subjects.count == 1)
            try expectDisjoint(filters[1].subjects)
            for _ in 0..<60 {
                let event = try random.event()
                let subject = EventRoute.subject(
                    prefix: prefix,
                    tenant: subscription.tenant,
                    lane: Lane(of: event),
                    type: event.type
                )
                let isLong = subject.description.contains("=sha256-")
                let isWanted = subscription.matches(event)
                wanted += isWanted ? 1 : 0
                for filter in filters {
                    let count = filter.subjects.count { $0.matches(subject.description) }
                    if subscription.deliveryProtocol == .nats && isLong { continue }
                    #expect(count <= 1)
                    #expect(!isWanted || count == 1, "\(subscription.types) \(event.type) \(filter.subjects)")
                    if filter.isExact { #expect((count == 1) == isWanted, "\(subscription.types) \(event.type)") }
                }
            }
        }
        #expect(wanted > 50)
    }

    /// No subject is in two filters, decided token by token as nats-server does before it takes a consumer.
    private func expectDisjoint(_ filters: [SubjectFilter]) throws {
        for (index, left) in filters.enumerated() {
            for right in filters[(index + 1)...] {
                #expect(!collide(tokens(left), tokens(right)), "\(left) \(right)")
            }
        }
    }

    private func tokens(_ filter: SubjectFilter) -> [Substring] { filter.text.split(separator: ".") }

    private func collide(_ left: [Substring], _ right: [Substring]) -> Bool {
        for (left, right) in zip(left, right) {
            if left == ">" || right == ">" { return true }
            if left != "*" && right != "*" && left != right { return false }
        }
        return left.count == right.count
    }
}

/// Makes subscriptions and events that often meet, from a seed.
struct SubscriptionGenerator: RandomNumberGenerator {
    private var source: SeededGenerator

    init(_ seed: UInt64) { source = SeededGenerator(seed: seed) }

    mutating func next() -> UInt64 { source.next() }

    private static let long = String(repeating: "\u{E9}", count: 67)
    private static let words = ["a", "a", "b", "b", "c", "", "a b", "*", ">", "e\u{301}", "\u{E9}", long, "=2A"]
    private static let wildcards = ["*", "*", "#", "a", "a", "b", "", "\u{E9}", long]

    private mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int(next() % UInt64(choices.count))]
    }

    mutating func type() -> String {
        while true {
            let segments = (0...Int(next() % 4)).map { _ in pick(Self.words) }
            let type = segments.joined(separator: ".")
            if !type.isEmpty { return type }
        }
    }

    private mutating func pattern() -> String {
        while true {
            var segments = (0...Int(next() % 3)).map { _ in pick(next() % 2 == 0 ? Self.wildcards : Self.words) }
            // A '>' of an event's type stands for itself only.
            segments = segments.map { $0 == ">" ? "b" : $0 }
            if next() % 4 == 0 { segments.append(">") }
            let pattern = segments.joined(separator: ".")
            if !pattern.isEmpty { return pattern }
        }
    }

    private mutating func filters() -> String {
        let type = pick(["a", "a.b", "b.", "a.", "c.a"])
        let test = "{\"\(pick(["exact", "prefix", "suffix"]))\":{\"type\":\"\(type)\"}}"
        switch next() % 6 {
        case 0: return "[\(test)]"
        case 1: return "[{\"not\":\(test)}]"
        case 2: return "[{\"any\":[\(test),{\"prefix\":{\"type\":\"b.\"}}]}]"
        case 3: return "[{\"all\":[\(test),{\"prefix\":{\"source\":\"/\"}}]}]"
        case 4: return "[\(test),{\"exact\":{\"priority\":\"high\"}}]"
        default: return "[{\"any\":[\(test),{\"exact\":{\"subject\":\"s\"}}]}]"
        }
    }

    mutating func subscription() throws -> Subscription {
        var subscription = Subscription()
        subscription.types = try (0..<Int(next() % 5)).map { _ in try TypePattern(pattern()) }
        if next() % 3 == 0 { subscription.filter = try EventFilter(filters()) }
        if next() % 6 == 0 { subscription.source = "/a" }
        subscription.deliveryProtocol = pick([.pull, .http, .nats])
        if subscription.deliveryProtocol == .http { subscription.sink = try SinkURL("https://example.com/") }
        return subscription
    }

    mutating func event() throws -> CloudEvent {
        var extensions: Extensions = [:]
        if next() % 2 == 0 { extensions.set(.string(pick(["high", "low", "normal", "urgent"])), for: "priority") }
        return try CloudEvent(
            id: "1",
            source: pick(["/a", "/b"]),
            type: type(),
            subject: next() % 3 == 0 ? "s" : nil,
            extensions: extensions
        )
    }
}
