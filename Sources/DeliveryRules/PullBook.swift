/// The pulls that the server has not yet answered in full.
struct PullBook: Sendable {
    private struct Pull: Sendable {
        let id: UInt32
        let asked: Int
        let since: Instant
        var open: Int
    }

    /// A pull that ends sooner than this with nothing was refused: the next one waits a little.
    private static let soon: Int64 = Nanoseconds.second / 2
    private static let firstPause: Int64 = 100 * Nanoseconds.millisecond
    private static let longestPause: Int64 = 5 * Nanoseconds.second

    // A handful at most: a machine asks in chunks.
    private var pulls: [Pull] = []
    private var lastID: UInt32 = 0
    private var pause: Int64 = 0
    /// How many deliveries may still come.
    private(set) var outstanding = 0
    /// No pull before this moment.
    private(set) var notBefore: Instant = .min

    /// Enters a new pull.
    mutating func add(_ count: Int, now: Instant) -> UInt32 {
        lastID &+= 1
        pulls.append(Pull(id: lastID, asked: count, since: now, open: count))
        outstanding += count
        return lastID
    }

    /// So many deliveries came; those of a pull that has ended were already given up.
    mutating func came(_ count: Int, for id: UInt32) {
        forgetPause()
        guard let index = pulls.firstIndex(where: { $0.id == id }) else { return }
        let taken = min(max(count, 0), pulls[index].open)
        pulls[index].open -= taken
        outstanding -= taken
        if pulls[index].open == 0 { pulls.remove(at: index) }
    }

    /// Whether deliveries of this pull may still come.
    func isOpen(_ id: UInt32) -> Bool { pulls.contains { $0.id == id } }

    /// Nothing more comes for this pull; `isPatient` says that it was to wait for deliveries.
    mutating func end(_ id: UInt32, now: Instant, isPatient: Bool = true) {
        guard let index = pulls.firstIndex(where: { $0.id == id }) else { return }
        let pull = pulls.remove(at: index)
        outstanding -= pull.open
        guard isPatient, pull.open == pull.asked, now.elapsed(since: pull.since) < Self.soon else { return }
        pause = min(max(pause.adding(pause), Self.firstPause), Self.longestPause)
        notBefore = now.adding(pause)
    }

    mutating func endAll() {
        pulls.removeAll(keepingCapacity: true)
        outstanding = 0
    }

    /// Lets the next pull go out at once.
    mutating func forgetPause() {
        pause = 0
        notBefore = .min
    }
}
