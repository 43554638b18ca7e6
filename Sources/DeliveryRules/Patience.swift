/// How long failures of the broker are borne, in nanoseconds: the same for events that are pushed and that are pulled.
enum Patience {
    /// Between two tries of a settlement.
    static let resendPause = Nanoseconds.second
    /// A release is sent again only if so much of its delay is left: the first may have taken effect.
    static let resendRest = Nanoseconds.second
    /// A store that fails for less than this is tried again with the event in hand.
    static let store = 10 * Nanoseconds.second
    private static let longestStorePause = 600 * Nanoseconds.second

    /// Between two tries to store a dead letter, the event in hand: 1 s, 2 s, 4 s, then always 8 s.
    static func storePause(failures: Int) -> Int64 { Nanoseconds.second << min(failures - 1, 3) }

    /// For how long an event is given back whose dead letter could not be stored: about as long as that has failed already.
    static func releasePause(failing: Int64, random: inout SplitMix) -> Int64 {
        let pause = min(max(failing, store), longestStorePause)
        return pause + Int64(Double(pause) * 0.2 * random.fraction())
    }
}
