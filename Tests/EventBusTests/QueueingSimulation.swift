import EventBus
import Foundation
import JetStream
import ServerFixtures

/// A broker with one queue behind a ``ConcurrencyLimit``, in simulated time: the same numbers on every machine.
///
/// Work comes in jobs of random size (exponential or heavy-tailed, mean 1), is done in order, and is answered after a
/// fixed delay. What is not answered within `timeout` is given up by the sender and yet done by the broker.
struct QueueingSimulation {
    static let second: Nanoseconds = 1_000_000_000
    private static let step: Nanoseconds = 100_000

    /// What happened within one second.
    struct Second {
        var offered = 0
        var stored = 0
        var refused = 0
        var timeouts = 0
        var latencies: Nanoseconds = 0
        var longest: Nanoseconds = 0
        var peak = 0
        var limit = 0

        var meanMilliseconds: Double { stored == 0 ? 0 : Double(latencies) / Double(stored) / 1e6 }
    }

    /// Who sends.
    enum Load {
        /// So many requests a second, whatever happens to them.
        case open((Double) -> Double)
        /// So many connections, each with one request at a time; a refused one waits a second.
        case closed(Int)
    }

    /// One job on its way.
    private struct Job {
        let sent: Nanoseconds
        var work: Double
    }

    var load: Load
    /// Jobs a second at a time in seconds; 0 while the broker hangs.
    var capacity: (Double) -> Double
    /// How long each job's way takes, at a time in seconds.
    var delay: (Double) -> Nanoseconds = { _ in 300_000 }
    var timeout: Nanoseconds = 5 * second
    var isHeavyTailed = false
    /// Events of each request.
    var batch = 1
    var seed: UInt64 = 1

    /// Runs for so many seconds.
    func run(_ seconds: Int, _ settings: ConcurrencyLimit.Settings) -> [Second] {
        var state = Run(limit: ConcurrencyLimit(settings), random: SeededGenerator(seed: seed))
        if case .closed(let count) = load { state.ready = Array(repeating: 0, count: count) }
        var report: [Second] = []
        for second in 0..<seconds {
            state.second = Second()
            let start = Nanoseconds(second) * Self.second
            for time in stride(from: start, to: start + Self.second, by: Int(Self.step)) { advance(&state, time) }
            state.second.limit = state.limit.limit
            report.append(state.second)
        }
        return report
    }

    private struct Run {
        var limit: ConcurrencyLimit
        var random: SeededGenerator
        var queue: [Job] = []
        var head = 0
        var answers: [(at: Nanoseconds, sent: Nanoseconds)] = []
        var nextAnswer = 0
        /// Submissions in order, with whether they were answered: for the timeouts.
        var waiting: [Nanoseconds] = []
        var oldest = 0
        var answered = 0
        /// When the connections that have nothing in flight will send.
        var ready: [Nanoseconds] = []
        var second = Second()
    }

    private func advance(_ run: inout Run, _ time: Nanoseconds) {
        answer(&run, time)
        expire(&run, time)
        run.limit.update(now: time)
        arrive(&run, time)
        serve(&run, time)
    }

    private func arrive(_ run: inout Run, _ time: Nanoseconds) {
        switch load {
        case .open(let rate):
            let mean = rate(Double(time) / 1e9) * Double(Self.step) / 1e9 / Double(batch)
            for _ in 0..<run.random.poisson(mean) { _ = send(&run, time) }
        case .closed:
            let due = run.ready.filter { $0 <= time }.count
            run.ready.removeAll { $0 <= time }
            for _ in 0..<due where !send(&run, time) { run.ready.append(time + Self.second) }
        }
    }

    private func send(_ run: inout Run, _ time: Nanoseconds) -> Bool {
        run.second.offered += batch
        guard run.limit.admits() else {
            run.second.refused += batch
            return false
        }
        run.limit.begin(batch, now: time)
        run.second.peak = max(run.second.peak, run.limit.inFlight)
        for _ in 0..<batch {
            run.queue.append(Job(sent: time, work: run.random.work(heavyTailed: isHeavyTailed)))
            run.waiting.append(time)
        }
        return true
    }

    private func serve(_ run: inout Run, _ time: Nanoseconds) {
        var budget = capacity(Double(time) / 1e9) * Double(Self.step) / 1e9
        while run.head < run.queue.count, budget > 0 {
            let part = min(budget, run.queue[run.head].work)
            run.queue[run.head].work -= part
            budget -= part
            if run.queue[run.head].work > 0 { return }
            run.answers.append((time + delay(Double(time) / 1e9), run.queue[run.head].sent))
            run.head += 1
        }
    }

    /// Jobs are done in order: the next answer is that of the oldest submission, unless that was given up.
    private func answer(_ run: inout Run, _ time: Nanoseconds) {
        while run.nextAnswer < run.answers.count, run.answers[run.nextAnswer].at <= time {
            let sent = run.answers[run.nextAnswer].sent
            run.nextAnswer += 1
            run.answered += 1
            guard run.answered > run.oldest else { continue }
            run.oldest = run.answered
            let latency = time - sent
            run.limit.noteAnswer(sent: sent, at: time)
            run.second.stored += 1
            run.second.latencies += latency
            run.second.longest = max(run.second.longest, latency)
            if case .closed = load { run.ready.append(time) }
        }
    }

    private func expire(_ run: inout Run, _ time: Nanoseconds) {
        while run.oldest < run.waiting.count, run.waiting[run.oldest] + timeout <= time {
            run.oldest += 1
            run.limit.noteTimeout()
            run.second.timeouts += 1
            if case .closed = load { run.ready.append(time) }
        }
    }
}

/// The distributions the simulation draws from.
extension SeededGenerator {
    /// Uniform in (0, 1].
    mutating func unit() -> Double { Double((next() >> 11) + 1) / 9_007_199_254_740_992 }

    /// How many independent events come where `mean` are expected (Knuth).
    mutating func poisson(_ mean: Double) -> Int {
        var count = 0
        var product = unit()
        let bound = exp(-mean)
        while product > bound {
            count += 1
            product *= unit()
        }
        return count
    }

    /// A job's size, 1 on average: half of the heavy-tailed work is in one job of twenty.
    mutating func work(heavyTailed: Bool) -> Double {
        guard heavyTailed else { return -log(unit()) }
        return unit() <= 0.05 ? -log(unit()) * 10 : -log(unit()) * 0.5263
    }
}
