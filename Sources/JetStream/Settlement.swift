/// What becomes of a delivered message, as JetStream is told it.
package enum Settlement: Sendable, Equatable {
    /// `+ACK`: done.
    case acknowledge
    /// `-NAK` with a delay; `.zero` makes the server deliver it again at once.
    case release(delay: Duration)
    /// `+WPI`: still being worked on, the time to acknowledge begins anew.
    case progress
    /// `+TERM`: never again.
    case terminate
}

/// Why a pull request brings nothing more.
package enum PullEnd: Sendable, Equatable {
    /// All the messages (or bytes) asked for have come.
    case complete
    /// Its time is over (408, or the lane's own clock: nats-server before 2.9.16 says nothing, N-04).
    case expired
    /// `noWait` was asked for and there is nothing (404).
    case noMessages
    /// The consumer does not exist, was deleted, or has no leader (409, 503).
    case consumerGone
    /// Another refusal, in the server's words.
    case refused(String)
    /// The connection ended; it may have brought nothing because of that.
    case connectionLost
    /// It never left the process: no connection, too many pulls, or no memory for its messages in time.
    case notSent
    /// Cancelled, or the client is closing.
    case closing
}
