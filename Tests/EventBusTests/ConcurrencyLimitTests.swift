import EventBus
import JetStream
import ServerFixtures
import Testing

/// R-36 in simulated time: how the limit on what is in flight follows the broker.
struct ConcurrencyLimitTests {
    private static let settings = ConcurrencyLimit.Settings(inFlightMax: 4096, shares: 1, timeout: .seconds(5))

    /// Refused, stored and given up, added up over some seconds.
    private func sum(
        _ seconds: ArraySlice<QueueingSimulation.Second>,
        _ value: (QueueingSimulation.Second) -> Int
    ) -> Int {
        seconds.reduce(0) { $0 + value($1) }
    }

    @Test(arguments: [100.0, 1000, 5000, 20_000], [1, 2, 3] as [UInt64])
    func `goodput at three times the capacity is at least nine tenths of it`(capacity: Double, seed: UInt64) {
        for isHeavyTailed in [false, true] {
            let simulation = QueueingSimulation(
                load: .open { _ in 3 * capacity },
                capacity: { _ in capacity },
                isHeavyTailed: isHeavyTailed,
                seed: seed
            )
            let report = simulation.run(30, Self.settings)
            let steady = report[5...]
            let goodput = Double(sum(steady, \.stored)) / Double(steady.count)
            #expect(goodput >= 0.9 * capacity, "\(goodput) of \(capacity)")
            #expect(sum(report[...], \.timeouts) == 0)
            let mean = steady.map(\.meanMilliseconds).reduce(0, +) / Double(steady.count)
            #expect(mean < 1250, "\(steady.map(\.meanMilliseconds)) \(report.map(\.limit))")
            // A second's worth of few large jobs varies by itself.
            let least = isHeavyTailed && capacity < 1000 ? 0.2 : 0.7
            #expect(steady.allSatisfy { Double($0.stored) >= least * capacity }, "\(steady.map(\.stored))")
            #expect(report.allSatisfy { $0.peak <= 4096 })
        }
    }

    @Test(arguments: [64, 256, 1024])
    func `a healthy load of this many connections is never refused`(connections: Int) {
        let simulation = QueueingSimulation(load: .closed(connections), capacity: { _ in 20_000 }, isHeavyTailed: true)
        let report = simulation.run(20, Self.settings)
        #expect(sum(report[...], \.refused) == 0)
        #expect(report.last?.limit == 4096)
    }

    @Test func `a hiccup of half a second refuses nobody of a few hundred connections`() {
        let simulation = QueueingSimulation(
            load: .closed(256),
            capacity: { time in time > 5 && time < 5.5 ? 0 : 20_000 }
        )
        #expect(sum(simulation.run(10, Self.settings)[...], \.refused) == 0)
    }

    @Test func `a broker that hangs is noticed before the first timeout and found again within a second`() {
        let simulation = QueueingSimulation(
            load: .open { _ in 2000 },
            capacity: { time in time > 5 && time < 15 ? 0 : 10_000 }
        )
        let report = simulation.run(25, Self.settings)
        #expect(sum(report[..<5], \.refused) == 0)
        // What was on its way when it fell silent, and the probes: not ten seconds of load, which would be 20,000.
        #expect(sum(report[5..<20], \.timeouts) < 2500)
        #expect(report[7].refused >= 1900)
        #expect(sum(report[17...], \.refused) == 0, "\(report.map(\.refused))")
        #expect(sum(report[17...], \.stored) >= 8 * 1900)
    }

    @Test func `the limit follows a capacity that falls to a twentieth and comes back`() {
        let simulation = QueueingSimulation(
            load: .open { _ in 8000 },
            capacity: { time in time > 10 && time < 30 ? 500 : 10_000 }
        )
        let report = simulation.run(45, Self.settings)
        #expect(sum(report[..<10], \.refused) == 0)
        #expect(sum(report[15..<30], \.stored) >= 15 * 450, "\(report.map(\.stored))")
        #expect(sum(report[15..<30], \.timeouts) == 0)
        #expect(report[20..<30].allSatisfy { $0.limit <= 500 })
        #expect(sum(report[33...], \.refused) == 0, "\(report.map(\.refused))")
    }

    @Test func `a broker that is far away is not taken for a slow one`() {
        let simulation = QueueingSimulation(
            load: .open { _ in 2000 },
            capacity: { _ in 10_000 },
            delay: { _ in 400_000_000 }
        )
        let report = simulation.run(30, Self.settings)
        #expect(sum(report[5...], \.refused) == 0, "\(report.map(\.refused)) \(report.map(\.limit))")
        #expect(sum(report[5...], \.stored) >= 25 * 1900)
    }

    @Test func `a broker slower than the floor is worth leaves no timeouts behind in the long run`() {
        let simulation = QueueingSimulation(load: .open { _ in 30 }, capacity: { _ in 10 })
        let report = simulation.run(60, Self.settings)
        #expect(sum(report[30...], \.timeouts) == 0, "\(report.map(\.timeouts)) \(report.map(\.limit))")
        #expect(sum(report[30...], \.stored) >= 30 * 8)
    }

    @Test func `a way that becomes longer under overload is learnt`() {
        let simulation = QueueingSimulation(
            load: .open { _ in 6000 },
            capacity: { _ in 2000 },
            delay: { $0 < 10 ? 300_000 : 400_000_000 }
        )
        let report = simulation.run(60, Self.settings)
        #expect(sum(report[40...], \.stored) >= 20 * 1800, "\(report.map(\.stored)) \(report.map(\.limit))")
        #expect(sum(report[40...], \.timeouts) == 0)
    }

    @Test func `without the adaptation the same loads end in timeouts`() {
        var fixed = Self.settings
        fixed.latencyGood = .max
        fixed.latencyMax = .max
        let simulation = QueueingSimulation(load: .open { _ in 1500 }, capacity: { _ in 500 })
        #expect(sum(simulation.run(30, fixed)[10...], \.timeouts) > 5000)
        #expect(sum(simulation.run(30, Self.settings)[...], \.timeouts) == 0)
    }

    @Test func `a batch counts as its events and is let in when it finds room`() {
        var limit = ConcurrencyLimit(.init(inFlightMax: 100, shares: 1, timeout: .seconds(5)))
        let isFirstAdmitted = limit.admits()
        #expect(isFirstAdmitted)
        limit.begin(1000, now: 0)
        #expect(limit.inFlight == 1000)
        let isSecondAdmitted = limit.admits()
        #expect(!isSecondAdmitted)
        #expect(limit.rejections == 1)
        for _ in 0..<901 { limit.noteAnswer(sent: 0, at: 1_000_000) }
        let isThirdAdmitted = limit.admits()
        #expect(isThirdAdmitted)
        let simulation = QueueingSimulation(load: .open { _ in 30_000 }, capacity: { _ in 10_000 }, batch: 1000)
        let report = simulation.run(20, Self.settings)
        #expect(sum(report[5...], \.stored) >= 15 * 9000)
        #expect(sum(report[...], \.timeouts) == 0)
        #expect(report.allSatisfy { $0.peak < 4096 + 1000 })
    }

    @Test(arguments: [1, 2, 7, 64, 65_536], [1, 2, 16])
    func `the bounds hold whatever is seen`(inFlightMax: Int, shares: Int) {
        let settings = ConcurrencyLimit.Settings(inFlightMax: inFlightMax, shares: shares, timeout: .milliseconds(200))
        var limit = ConcurrencyLimit(settings)
        var random = SeededGenerator(seed: UInt64(inFlightMax * 31 + shares))
        var now: Nanoseconds = 0
        var sent: [Nanoseconds] = []
        for _ in 0..<20_000 {
            now += Nanoseconds.random(in: 0...20_000_000, using: &random)
            if Bool.random(using: &random), limit.admits() {
                limit.begin(1, now: now)
                sent.append(now)
            } else if let time = sent.popLast() {
                switch Int.random(in: 0..<4, using: &random) {
                case 0: limit.noteTimeout()
                case 1: limit.noteEnd()
                default: limit.noteAnswer(sent: time, at: now)
                }
                limit.update(now: now)
            }
            #expect(limit.inFlight == sent.count)
            #expect(limit.limit >= settings.trickle && limit.limit <= settings.max)
            #expect(settings.trickle >= 1)
        }
    }
}
