import NIOCore
import NIOPosix
import ServerFixtures
import Testing
import Webhooks

/// Names whose addresses take long to find.
struct SlowNamesTests {
    private static let address = IPAddress(v4: 0x7F00_0001)

    /// Answers a name's look-up when the test says so, on the resolver's threads.
    private final class SlowSystem: Sendable {
        private let begun = Shared<[String]>([])
        private let ended = Shared<[String]>([])
        private let held: Shared<Set<String>>
        private let slow: Shared<Set<String>>

        /// - Parameters:
        ///   - slow: names that are answered after more than a second.
        ///   - held: names that are answered when they are let go.
        init(slow: Set<String> = [], held: Set<String> = []) {
            self.slow = Shared(slow)
            self.held = Shared(held)
        }

        var beginnings: [String] { begun.current }
        var endings: [String] { ended.current }

        func letGo() { held.withLock { $0.removeAll() } }

        func lookUp(_ name: String) -> Result<[IPAddress], WebhookResolveFault> {
            begun.withLock { $0.append(name) }
            let end = ContinuousClock.now + .milliseconds(slow.current.contains(name) ? 1100 : 0)
            _ = waitUntil(timeout: .seconds(60)) { ContinuousClock.now >= end && !held.current.contains(name) }
            ended.withLock { $0.append(name) }
            let fault = WebhookResolveFault(reason: "no such name")
            return name.hasSuffix(".example") ? .success([SlowNamesTests.address]) : .failure(fault)
        }

        /// A resolver with one thread for each of its pools.
        func makeResolver() -> SystemResolver {
            SystemResolver(threads: 1) { name in self.lookUp(name) }
        }
    }

    private static var loop: any EventLoop { MultiThreadedEventLoopGroup.singleton.any() }

    @Test func `a slow domain's names wait for each other, and nobody else waits for them`() async throws {
        let system = SlowSystem(slow: ["a.slow.example"], held: ["b.slow.example"])
        let resolver = system.makeResolver()
        #expect(try await resolver.resolve("a.slow.example", on: Self.loop).get() == [Self.address])
        let first = resolver.resolve("b.slow.example", on: Self.loop)
        let second = resolver.resolve("c.slow.example", on: Self.loop)
        #expect(await eventually(timeout: .seconds(30)) { system.beginnings.contains("b.slow.example") })
        for number in 0..<20 {
            #expect(try await resolver.resolve("n\(number).quick.example", on: Self.loop).get() == [Self.address])
        }
        #expect(!system.endings.contains("b.slow.example"), "the others had their answers meanwhile")
        #expect(!system.beginnings.contains("c.slow.example"), "it waits for its neighbour")
        system.letGo()
        #expect(try await first.get() == [Self.address])
        #expect(try await second.get() == [Self.address])
    }

    @Test func `a domain that answers quickly again is no slow one any more`() async throws {
        let system = SlowSystem(slow: ["a.better.example", "a.slow.example"], held: ["b.slow.example"])
        let resolver = system.makeResolver()
        for name in ["a.better.example", "b.better.example", "a.slow.example"] {
            #expect(try await resolver.resolve(name, on: Self.loop).get() == [Self.address])
        }
        let held = resolver.resolve("b.slow.example", on: Self.loop)
        #expect(await eventually(timeout: .seconds(30)) { system.beginnings.contains("b.slow.example") })
        #expect(try await resolver.resolve("c.better.example", on: Self.loop).get() == [Self.address])
        #expect(!system.endings.contains("b.slow.example"))
        system.letGo()
        #expect(try await held.get() == [Self.address])
    }

    @Test func `who asks for a name that is being asked for shares its answer, or its fault`() async throws {
        let system = SlowSystem(held: ["one.example", "none.test"])
        let resolver = system.makeResolver()
        let good = (0..<100).map { _ in resolver.resolve("one.example", on: Self.loop) }
        let bad = (0..<100).map { _ in resolver.resolve("none.test", on: Self.loop) }
        system.letGo()
        for answer in good { #expect(try await answer.get() == [Self.address]) }
        for answer in bad {
            await #expect(throws: WebhookResolveFault(reason: "no such name")) { try await answer.get() }
        }
        #expect(system.beginnings.sorted() == ["none.test", "one.example"])
        #expect(try await resolver.resolve("one.example", on: Self.loop).get() == [Self.address])
        #expect(system.beginnings.count == 3, "no answer is kept")
    }

    @Test func `names that wait are bounded`() async throws {
        let system = SlowSystem(held: ["n0.example"])
        let resolver = system.makeResolver()
        let answers = (0..<1024).map { resolver.resolve("n\($0).example", on: Self.loop) }
        await #expect(throws: WebhookResolveFault(reason: "too many names are being resolved")) {
            try await resolver.resolve("one.more.example", on: Self.loop).get()
        }
        system.letGo()
        for answer in answers { #expect(try await answer.get() == [Self.address]) }
        #expect(try await resolver.resolve("one.more.example", on: Self.loop).get() == [Self.address])
    }
}
