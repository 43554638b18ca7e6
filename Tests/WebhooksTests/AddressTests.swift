import NIOCore
import NIOPosix
import ServerFixtures
import Testing
import Webhooks

/// A DNS that a test answers.
struct ScriptedResolver: SinkResolver {
    let answer: @Sendable (String) throws -> [IPAddress]

    func resolve(_ name: String, on eventLoop: any EventLoop) -> EventLoopFuture<[IPAddress]> {
        eventLoop.makeCompletedFuture { try answer(name) }
    }
}

/// Which addresses are connected to (S-05).
struct AddressTests {
    private static func addresses(_ texts: String...) -> [IPAddress] { texts.compactMap { IPAddress(strict: $0) } }

    /// A receiver at the allowed address, and one on the same port of the forbidden one.
    private static func receiverAndCanary() async throws -> (receiver: Receiver, canary: Receiver) {
        var last: (any Error)?
        for _ in 0..<20 {
            let receiver = try await Receiver("127.0.0.2", keepsRequests: false) { _, answerer in
                answerer.answer(200, "connection: close\r\n")
            }
            do {
                let canary = try await Receiver("127.0.0.1", port: receiver.port) { _, answerer in answerer.answer(200)
                }
                return (receiver, canary)
            } catch {
                // Somebody else has this port there.
                last = error
                await receiver.stop()
            }
        }
        throw try #require(last)
    }

    /// A name that is public now and private the next time, ten thousand times: never a connection to the private address.
    @Test func alternatingAnswers() async throws {
        let (receiver, canary) = try await Self.receiverAndCanary()
        let asked = Shared(0)
        let resolver = ScriptedResolver { _ in
            let number = asked.withLock { asked in
                asked += 1
                return asked
            }
            switch number % 5 {
            case 0: return Self.addresses("127.0.0.2")
            case 1: return Self.addresses("127.0.0.1")
            case 2: return Self.addresses("127.0.0.2", "127.0.0.1")
            case 3: return Self.addresses("127.0.0.1", "127.0.0.2")
            default: return Self.addresses("127.0.0.2", "::1")
            }
        }
        let rules = SinkAddressRules(allowedNetworks: try IPNetwork.list("127.0.0.2"), allowsPlainHTTP: true)
        let run = try ClientRun(rules: rules, resolver: resolver)
        let sink = try makeSink(receiver.port, host: "rebinding.example.com")
        let sent = 10_000
        var good = 0
        for _ in 0..<(sent / 50) {
            for outcome in await run.sendMany(50, sink) {
                if outcome.status == 200 { good += 1 } else { #expect(outcome.failure?.kind == .addressForbidden) }
            }
        }
        #expect(asked.current == sent)
        #expect(good == sent / 5)
        #expect(receiver.current.count == good)
        #expect(canary.current.connections == 0)
        await run.stop()
        await receiver.stop()
        await canary.stop()
    }

    @Test(arguments: [
        "127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "0.0.0.0", "::",
    ])
    func forbiddenAnswers(_ text: String) async throws {
        let canary = try await Receiver { _, answerer in answerer.answer(200) }
        let run = try ClientRun(
            rules: SinkAddressRules(allowsPlainHTTP: true),
            resolver: ScriptedResolver { _ in Self.addresses(text) }
        )
        let failure = try #require(await run.send(makeSink(canary.port, host: "sink.example.com")).failure)
        #expect(failure.kind == .addressForbidden)
        #expect(failure.progress == .notSent)
        #expect(canary.current.connections == 0)
        await run.stop()
        await canary.stop()
    }

    /// The system's own resolver, by the names of loopback.
    @Test(arguments: [
        "localhost", "localhost.", "LOCALHOST", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:7f00:1]",
    ])
    func loopbackByEveryName(_ host: String) async throws {
        let canary = try await Receiver { _, answerer in answerer.answer(200) }
        let run = try ClientRun(rules: SinkAddressRules(allowsPlainHTTP: true))
        let outcome = await run.send(try makeSink(canary.port, host: host))
        #expect(outcome.failure?.kind == .addressForbidden)
        #expect(canary.current.connections == 0)
        let allowed = try ClientRun()
        if host != "[::1]" { #expect(await allowed.send(try makeSink(canary.port, host: host)).status == 200) }
        await run.stop()
        await allowed.stop()
        await canary.stop()
    }

    @Test func theNextAddressIsTried() async throws {
        let receiver = try await Receiver("127.0.0.3") { _, answerer in answerer.answer(200) }
        let resolver = ScriptedResolver { _ in Self.addresses("127.0.0.2", "::1", "127.0.0.3") }
        let run = try ClientRun(resolver: resolver)
        #expect(await run.send(try makeSink(receiver.port, host: "many.example.com")).status == 200)
        #expect(receiver.requests.first?.values("host") == ["many.example.com:\(receiver.port)"])
        await run.stop()
        await receiver.stop()
    }

    @Test func ipv6() async throws {
        let receiver = try await Receiver("::1") { _, answerer in answerer.answer(200) }
        let run = try ClientRun()
        #expect(await run.send(try makeSink(receiver.port, host: "[::1]")).status == 200)
        #expect(receiver.requests.first?.values("host") == ["[::1]:\(receiver.port)"])
        await run.stop()
        await receiver.stop()
    }

    @Test func namesThatDoNotResolve() async throws {
        let run = try ClientRun()
        let sink = try makeSink(8080, host: "does-not-exist.invalid")
        let failure = try #require(await run.send(sink).failure)
        #expect(failure.kind == .resolveFailed)
        #expect(failure.progress == .notSent)
        let empty = try ClientRun(resolver: ScriptedResolver { _ in [] })
        #expect(await empty.send(sink).failure?.kind == .resolveFailed)
        await run.stop()
        await empty.stop()
    }

    /// A resolver that never answers costs the one who asked, by the limit for connecting.
    @Test func slowResolver() async throws {
        struct Never: SinkResolver {
            let receiver: IPAddress

            func resolve(_ name: String, on eventLoop: any EventLoop) -> EventLoopFuture<[IPAddress]> {
                if name == "fast.example.com" { return eventLoop.makeSucceededFuture([receiver]) }
                let promise = eventLoop.makePromise(of: [IPAddress].self)
                eventLoop.scheduleTask(in: .seconds(5)) { promise.succeed([receiver]) }
                return promise.futureResult
            }
        }
        let receiver = try await Receiver { _, answerer in answerer.answer(200) }
        let run = try ClientRun(resolver: Never(receiver: IPAddress(v4: 0x7F00_0001))) {
            $0.connectTimeout = .milliseconds(200)
        }
        let slow = try makeSink(receiver.port, host: "slow.example.com")
        async let outcome = run.send(slow)
        #expect(await run.send(try makeSink(receiver.port, host: "fast.example.com")).status == 200)
        #expect(await outcome.failure?.kind == .connectFailed)
        #expect(await outcome.failure?.progress == .notSent)
        await run.stop()
        await receiver.stop()
    }

    @Test func refusedConnections() async throws {
        let port = try freePort()
        let run = try ClientRun()
        let failure = try #require(await run.send(makeSink(port)).failure)
        #expect(failure.kind == .connectFailed)
        #expect(failure.progress == .notSent)
        #expect(failure.text.contains("127.0.0.1 cannot be connected to"))
        await run.stop()
    }

    /// A listener whose queue is full lets every further connection hang.
    @Test func connectionsThatHang() async throws {
        let listener = try #require(TestSocket.listen(port: 0))
        var fillers: [any Channel] = []
        let bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton).connectTimeout(.milliseconds(300))
        while fillers.count < 300 {
            guard let filler = try? await bootstrap.connect(host: "127.0.0.1", port: Int(listener.localPort)).get()
            else {
                break
            }
            fillers.append(filler)
        }
        #expect(fillers.count < 300)
        let run = try ClientRun { $0.connectTimeout = .milliseconds(300) }
        let failure = try #require(await run.send(makeSink(listener.localPort)).failure)
        #expect(failure.kind == .connectFailed)
        let early = try #require(await run.send(makeSink(listener.localPort), timeout: .milliseconds(100)).failure)
        #expect(early.progress == .notSent)
        await run.stop()
        for filler in fillers { try await filler.close() }
        listener.close()
    }

    @Test func schemesAndPorts() async throws {
        let run = try ClientRun(rules: SinkAddressRules(allowedNetworks: try IPNetwork.list("127.0.0.0/8")))
        #expect(await run.send(try makeSink(8080)).failure?.kind == .addressForbidden)
        #expect(await run.send(try makeSink(6379, scheme: "https")).failure?.kind == .addressForbidden)
        #expect(await run.status.origins == 0)
        await run.stop()
    }
}
