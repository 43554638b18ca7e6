import NIOSSL
import ServerFixtures
import Testing
import Webhooks

struct TLSTests {
    private let rules: SinkAddressRules

    init() throws { rules = SinkAddressRules(allowedNetworks: try IPNetwork.list("127.0.0.0/8")) }

    private func run(_ roots: String?) throws -> ClientRun {
        try ClientRun(rules: rules, roots: roots, resolver: ScriptedResolver { _ in [IPAddress(v4: 0x7F00_0001)] })
    }

    /// By name and by address, over one kept connection each.
    @Test(arguments: ["localhost", "hooks.example.com", "127.0.0.1"])
    func trusted(_ host: String) async throws {
        let authority = try TestAuthority()
        let receiver = try await Receiver(tls: try authority.serverContext()) { _, answerer in answerer.answer(202) }
        let run = try run(authority.rootPath)
        let sink = try makeSink(receiver.port, host: host, scheme: "https")
        for outcome in await run.sendMany(20, sink) { #expect(outcome.status == 202) }
        for _ in 0..<20 {
            #expect(try await run.send(sink, body: Array(repeating: 1, count: 70_000)).get().isHTTP2 == false)
        }
        #expect(receiver.requests.allSatisfy { $0.values("host") == ["\(host):\(receiver.port)"] })
        #expect(receiver.current.connections <= 20)
        await run.stop()
        await receiver.stop()
    }

    /// Another name, no root, an expired certificate: no byte of the request is sent.
    @Test(arguments: ["other.example.com", "127.0.0.2"])
    func otherNames(_ host: String) async throws {
        let authority = try TestAuthority()
        let receiver = try await Receiver("0.0.0.0", tls: try authority.serverContext()) { _, answerer in
            answerer.answer(200)
        }
        let run = try run(authority.rootPath)
        let failure = try #require(await run.send(makeSink(receiver.port, host: host, scheme: "https")).failure)
        #expect(failure.kind == .tlsFailed)
        #expect(failure.progress == .notSent)
        #expect(receiver.current.count == 0)
        await run.stop()
        await receiver.stop()
    }

    @Test func untrustedRoot() async throws {
        let authority = try TestAuthority()
        let receiver = try await Receiver(tls: try authority.serverContext()) { _, answerer in answerer.answer(200) }
        let other = try TestAuthority()
        for roots in [nil, other.rootPath] {
            let run = try run(roots)
            let failure = try #require(await run.send(makeSink(receiver.port, scheme: "https")).failure)
            #expect(failure.kind == .tlsFailed)
            #expect(failure.text.contains("CERTIFICATE_VERIFY_FAILED"))
            await run.stop()
        }
        #expect(receiver.current.count == 0)
        await receiver.stop()
    }

    @Test func expiredCertificate() async throws {
        let authority = try TestAuthority()
        let receiver = try await Receiver(tls: try authority.serverContext(days: 0)) { _, answerer in
            answerer.answer(200)
        }
        let run = try run(authority.rootPath)
        let outcome = await run.send(try makeSink(receiver.port, scheme: "https"))
        #expect(outcome.failure?.kind == .tlsFailed)
        await run.stop()
        await receiver.stop()
    }

    @Test func noTLSBehindThePort() async throws {
        let receiver = try await Receiver { _, answerer in answerer.answer(200) }
        let run = try run(nil)
        let hanging = try ClientRun(rules: rules) { $0.connectTimeout = .milliseconds(300) }
        let listener = try #require(TestSocket.listen(port: 0))
        #expect(await hanging.send(try makeSink(listener.localPort, scheme: "https")).failure?.kind == .connectFailed)
        let filler = try await Receiver { _, _ in }
        #expect(await hanging.send(try makeSink(filler.port, scheme: "https")).failure?.progress == .notSent)
        let talker = try #require(TestSocket.listen(port: 0))
        let port = talker.localPort
        async let outcome = run.send(try makeSink(port, scheme: "https"))
        let accepted = await onThread { talker.accept(timeoutMilliseconds: 10_000) }
        accepted?.send("HTTP/1.1 400 This is no TLS\r\n\r\n")
        #expect(try await outcome.failure?.kind == .tlsFailed)
        await run.stop()
        await hanging.stop()
        for one in [receiver, filler] { await one.stop() }
    }

    @Test func fileThatHoldsNoRoots() {
        #expect(throws: WebhookTLS.Fault.self) { try WebhookTLS(extraRoots: "/does/not/exist.pem") }
        #expect(throws: WebhookTLS.Fault.self) { try WebhookTLS(extraRoots: "/dev/null") }
    }
}
