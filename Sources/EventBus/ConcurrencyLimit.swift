package import JetStream

/// How many events may wait for their PubAck at a time, found from how long the PubAcks take.
///
/// By Little's law a broker that takes `r` events a second needs `r · latency` of them in flight to be busy; more only
/// wait longer, and in the end for nothing, past their deadline. So the limit falls while the latency is above a
/// target and rises while it is below and the limit is what binds. The target leaves a healthy broker alone: it is far
/// above the latency of one that is merely busy, and follows one that is merely far away (its slow-moving minimum).
/// A broker that falls silent is noticed before the first timeout: the limit halves with every window down to what is
/// never worth refusing; with answers that come far too late it goes down to a trickle of probes. Once they are answered
/// it doubles with every round trip.
///
/// Pure: time comes from outside, in nanoseconds of a monotonic clock. One for each event loop, no lock.
package struct ConcurrencyLimit: Sendable {
    /// The bounds of a limit.
    package struct Settings: Sendable {
        /// Most events in flight.
        package var max: Int
        /// Not refused while answers come within ``latencyMax``: a smaller limit would shorten no wait worth it.
        package var floor: Int
        /// What is left for a broker that does not answer: enough to notice when it does.
        package var trickle: Int
        /// A mean latency up to this is good whatever the minimum is.
        package var latencyGood: Nanoseconds
        /// A mean latency above this is bad whatever the minimum is.
        package var latencyMax: Nanoseconds
        /// The shortest time between two changes.
        package var window: Nanoseconds = 100_000_000

        /// One of `shares` equal shares of the bound of a process whose publishes time out after `timeout`.
        package init(inFlightMax: Int, shares: Int, timeout: Duration) {
            let shares = Swift.max(shares, 1)
            let parts = timeout.components
            let nanoseconds = parts.seconds * 1_000_000_000 + parts.attoseconds / 1_000_000_000
            max = Swift.max((inFlightMax + shares - 1) / shares, 1)
            floor = min(Swift.max(64 / shares, 1), max)
            trickle = min(Swift.max(4 / shares, 1), floor)
            latencyMax = nanoseconds / 4
            latencyGood = nanoseconds / 20
        }
    }

    /// Most events in flight now; a batch that was let in may exceed it.
    package private(set) var limit: Int
    /// Events in flight.
    package private(set) var inFlight = 0
    /// Requests refused so far.
    package private(set) var rejections: UInt64 = 0
    /// What latency is aimed at now.
    package var target: Nanoseconds { min(Swift.max(settings.latencyGood, baseline &* 4), settings.latencyMax) }

    private let settings: Settings
    /// The slow-moving minimum of the latency, 0 before the first.
    private var baseline: Nanoseconds = 0
    /// When something was answered last, or when waiting began.
    private var progress: Nanoseconds = 0
    /// Events submitted before the last change say nothing about it.
    private var changed: Nanoseconds = .min
    /// Since when all that was seen was bad.
    private var badSince: Nanoseconds?
    /// The limit before the broker fell silent, until something is answered or given up.
    private var beforeSilence = 0
    /// Whether the limit was lowered to measure the minimum.
    private var isProbing = false
    private var window = Window(start: 0)

    /// What was seen since the last look.
    private struct Window: Sendable {
        var start: Nanoseconds
        /// All answers, and those to what was submitted since the last change.
        var done = 0
        var answers = 0
        var latencies: Nanoseconds = 0
        var fastest = Nanoseconds.max
        var timeouts = 0
        var peak = 0
        var isBinding = false
    }

    /// Starts at the upper bound: nothing is refused before there is a reason.
    package init(_ settings: Settings) {
        self.settings = settings
        limit = settings.max
    }

    /// Whether there is room for one more request.
    package var hasRoom: Bool { inFlight < limit }

    /// Tells whether a request may be taken up, and counts it if not.
    package mutating func admits() -> Bool {
        if inFlight < limit { return true }
        noteRejection()
        return false
    }

    /// Counts a request that was refused because there was no room.
    package mutating func noteRejection() {
        window.isBinding = true
        rejections &+= 1
    }

    /// Takes up the events of one request.
    package mutating func begin(_ count: Int, now: Nanoseconds) {
        if inFlight == 0 {
            progress = now
            if window.answers == 0 { window.start = now }
        }
        inFlight += count
        if inFlight > window.peak { window.peak = inFlight }
        if inFlight >= limit { window.isBinding = true }
        update(now: now)
    }

    /// An answer of the broker, good or bad, to an event that was submitted at `sent`.
    package mutating func noteAnswer(sent: Nanoseconds, at time: Nanoseconds) {
        inFlight -= 1
        if time > progress { progress = time }
        window.done += 1
        guard sent >= changed else { return }
        let latency = Swift.max(time - sent, 0)
        window.answers += 1
        window.latencies += latency
        if latency < window.fastest { window.fastest = latency }
        // One more for each good answer doubles what is in flight with each round trip.
        if limit < settings.floor && latency <= target { limit += 1 }
    }

    /// No answer came in time.
    package mutating func noteTimeout() {
        inFlight -= 1
        window.timeouts += 1
    }

    /// The event has ended in a way that says nothing of the broker's pace.
    package mutating func noteEnd() { inFlight -= 1 }

    /// Looks at what was seen, if it is time; to be called after answers were noted.
    package mutating func update(now: Nanoseconds) {
        let elapsed = now - window.start
        guard elapsed >= settings.window else { return }
        if window.timeouts > 0 {
            beforeSilence = 0
            // So little that nothing is won by refusing it, until a second window shows that it is too much.
            halve(1, least: limit > settings.floor ? settings.floor : settings.trickle)
        } else if window.answers >= Self.answersMin || (window.answers > 0 && elapsed >= settings.window * 5) {
            judge(elapsed, now: now)
        } else if window.answers == 0 && inFlight > 0 && now - progress > target {
            if beforeSilence == 0 { beforeSilence = limit }
            halve(
                Int(min((now - progress - target) / settings.window + 1, elapsed / settings.window, 32)),
                least: min(limit, settings.floor)
            )
        } else if inFlight > 0 {
            // Answers to what was submitted before the last change may still come; they prove nothing yet.
            return
        }
        window = Window(start: now)
        window.peak = inFlight
    }

    private mutating func halve(_ times: Int, least: Int) {
        limit = Swift.max(limit >> times, least)
        if badSince == nil { badSince = progress }
    }

    private mutating func judge(_ elapsed: Nanoseconds, now: Nanoseconds) {
        learn()
        // Silent, and then back before the first timeout: a hiccup, after which most of what was known still holds.
        limit = Swift.max(limit, beforeSilence / 2)
        beforeSilence = 0
        // What is waiting will take as long as this at the pace just seen: in a growing queue the answers tell too late.
        let expected = Nanoseconds(Double(elapsed) / Double(window.done) * Double(inFlight))
        let measured = window.latencies / Nanoseconds(window.answers)
        let latency = Swift.max(measured, expected, 1)
        let target = target
        guard latency > target else {
            badSince = nil
            if window.isBinding && latency < target / 10 * 9 {
                let factor = min(Double(target) / Double(latency), 2)
                change(to: Swift.max(Int(Double(limit) * factor), limit + 1), now: now)
            } else if limit < settings.floor {
                limit = min(limit * 2, settings.floor)
            }
            return
        }
        // A single bad window may be a hiccup; a limit that follows it would refuse what can be served.
        guard let badSince else {
            self.badSince = now
            return
        }
        if now - badSince > Self.badTimeMax && limit <= settings.floor {
            probe(now: now)
            return
        }
        // What is only expected, perhaps from a single answer, refuses nobody who is few.
        let floor = measured > settings.latencyMax ? settings.trickle : min(settings.floor, limit)
        let factor = Swift.max(Double(target) / Double(latency), 0.25)
        change(to: Swift.max(Int(Double(min(limit, window.peak)) * factor), floor), now: now)
    }

    /// Bad for long, although little is in flight: with less still, the latency is the way's own and not the queue's.
    private mutating func probe(now: Nanoseconds) {
        badSince = nil
        isProbing = true
        limit = Swift.max(min(limit, settings.floor) / 4, settings.trickle)
        changed = now
    }

    /// The minimum follows downwards at once and upwards slowly, and not while our own queue is what is measured.
    private mutating func learn() {
        if baseline == 0 || isProbing || window.fastest < baseline {
            baseline = window.fastest
            isProbing = false
        } else if !window.isBinding {
            baseline += (window.fastest - baseline) / 64
        }
    }

    private mutating func change(to new: Int, now: Nanoseconds) {
        let bounded = min(new, settings.max)
        if bounded != limit { changed = now }
        limit = bounded
    }

    /// Fewer answers than these prove little, unless they are all there is.
    private static let answersMin = 8
    /// Bad for so long with little in flight, and the minimum is in doubt.
    private static let badTimeMax: Nanoseconds = 3_000_000_000
}
