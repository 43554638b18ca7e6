import JetStream
import ServerFixtures
import Testing

/// Key-value buckets on real servers.
@Suite(.serialized) struct KeyValueTests {
    /// What a watch has told.
    final class Told: Sendable {
        let events = Shared<[KeyValueBucket.WatchEvent]>([])

        var values: [String: String] {
            events.withLock { events in
                var values: [String: String] = [:]
                for case .entry(let entry) in events {
                    values[entry.key] = entry.isDeleted ? nil : String(decoding: entry.value, as: UTF8.self)
                }
                return values
            }
        }

        var currents: Int { events.withLock { $0.count { $0 == .current } } }
        var losses: Int { events.withLock { $0.count { if case .lost = $0 { true } else { false } } } }

        func becomes(_ values: [String: String]) async -> Bool {
            await eventually(timeout: .seconds(20)) { self.values == values }
        }
    }

    private func withBucket(
        _ binary: NATSServer.Binary,
        through proxied: Bool = false,
        _ body: (NATSServer, TCPProxy, KeyValueBucket) async throws -> Void
    ) async throws {
        try await withStream(binary, through: proxied) { server, proxy, test in
            let name = try #require(BucketName("SLUICE_TEST"))
            let bucket = KeyValueBucket(client: test.client, name: name, replicas: 1)
            try await bucket.open()
            try await bucket.open()
            try await body(server, proxy, bucket)
        }
    }

    private func key(_ tokens: String...) -> KeyValueBucket.Key { KeyValueBucket.Key(tokens: tokens) }

    @Test func `a key is its tokens, encoded, and decodes back`() {
        for tokens in [["acme", "orders"], ["a.b", "", "é *>"], [""], ["x"]] {
            let key = KeyValueBucket.Key(tokens: tokens)
            #expect(key.tokens == tokens && KeyValueBucket.Key(text: key.text) == key)
        }
        #expect(KeyValueBucket.Key(tokens: ["a.b", "c"]).text == "a=2Eb.c")
        for text in ["", "a..b", "a b", "*", ">", "a.=2", "a\r\n"] { #expect(KeyValueBucket.Key(text: text) == nil) }
    }

    @Test(arguments: NATSServer.available)
    func `put, get, conflict, delete and create again`(binary: NATSServer.Binary) async throws {
        try await withBucket(binary) { _, _, bucket in
            let key = key("acme", "a.b")
            #expect(try await bucket.get(key) == nil)
            #expect(await bucket.put(key, Array("1".utf8), expecting: 0) == .stored(1))
            #expect(await bucket.put(key, Array("x".utf8), expecting: 0) == .conflict)
            #expect(await bucket.put(key, Array("x".utf8), expecting: 7) == .conflict)
            #expect(await bucket.put(key, Array("2".utf8), expecting: 1) == .stored(2))
            #expect(await bucket.put(key, Array("3".utf8), expecting: nil) == .stored(3))
            let entry = try #require(try await bucket.get(key))
            #expect(entry.key == key.text && entry.value == Array("3".utf8) && entry.revision == 3 && !entry.isDeleted)
            #expect(await bucket.delete(key, expecting: 2) == .conflict)
            #expect(await bucket.delete(key, expecting: 3) == .stored(4))
            #expect(try await bucket.get(key)?.isDeleted == true)
            #expect(await bucket.put(key, Array("5".utf8), expecting: 0) == .stored(5))
            #expect(try await bucket.get(key)?.value == Array("5".utf8))
        }
    }

    @Test(arguments: NATSServer.available)
    func `a watch tells what is there and every change, across cuts, a restart and a lost consumer`(
        binary: NATSServer.Binary
    ) async throws {
        try await withBucket(binary, through: true) { server, proxy, bucket in
            for number in 0..<700 { #expect(await bucket.put(key("k\(number)"), [48], expecting: 0) != .conflict) }
            var expected = Dictionary(uniqueKeysWithValues: (0..<700).map { ("k\($0)", "0") })
            let told = Told()
            let watch = bucket.watch { event in told.events.withLock { $0.append(event) } }
            #expect(await eventually { told.currents == 1 })
            #expect(told.values == expected)
            _ = await bucket.put(key("k1"), Array("new".utf8), expecting: nil)
            expected["k1"] = "new"
            _ = await bucket.delete(key("k2"), expecting: nil)
            expected["k2"] = nil
            #expect(await told.becomes(expected))
            // Changed by another while the connection is cut.
            let probe = try NATSProbe(port: server.port)
            proxy.cut()
            probe.publish("$KV.SLUICE_TEST.k3", payload: Array("cut".utf8))
            probe.publish("$KV.SLUICE_TEST.k4", headers: ["KV-Operation: DEL"], payload: [])
            expected["k3"] = "cut"
            expected["k4"] = nil
            #expect(await told.becomes(expected))
            // A key that is gone without a mark.
            proxy.cut()
            _ = try probe.request(
                "$JS.API.STREAM.PURGE.KV_SLUICE_TEST",
                Array(#"{"filter":"$KV.SLUICE_TEST.k5"}"#.utf8)
            )
            expected["k5"] = nil
            #expect(await told.becomes(expected))
            // The watch's consumer is deleted.
            for name in try await bucket.client.consumerNames(in: bucket.name.stream) {
                _ = probe.json("$JS.API.CONSUMER.DELETE.KV_SLUICE_TEST.\(name)")
            }
            probe.publish("$KV.SLUICE_TEST.k6", payload: Array("gone".utf8))
            expected["k6"] = "gone"
            #expect(await told.becomes(expected))
            server.kill()
            try server.start()
            let again = try NATSProbe(port: server.port)
            #expect(await eventually { bucket.client.state.isConnected })
            again.publish("$KV.SLUICE_TEST.k7", payload: Array("restarted".utf8))
            expected["k7"] = "restarted"
            #expect(await told.becomes(expected))
            #expect(told.losses >= 3 && told.currents >= 3)
            watch.stop()
        }
    }
}
