import JetStream

/// What a process knows of the subscriptions that it is to serve.
package enum DeliveryReadiness: Sendable, Equatable {
    /// They are being read for the first time.
    case reading
    /// All of them, and every change within a second.
    case current
    /// All of them, but changes are not seen at present, for this reason; deliveries go on with what is known.
    case behind(String)
    /// None: they cannot be read, for this reason. Nothing is delivered; to publish events does not need them.
    case refused(String)

    /// One sentence for people; `nil` where all is well.
    package var reason: String? {
        switch self {
        case .reading: "the subscriptions are still being read"
        case .current: nil
        case .behind(let reason): "changes of subscriptions are not seen: \(reason)"
        case .refused(let reason): "the subscriptions cannot be read, and nothing is delivered: \(reason)"
        }
    }

    /// How long the first reading may take once events can be published: what takes longer is not going to work soon.
    ///
    /// Two requests that nobody answers: so nats-server treats what a user's permissions do not allow.
    private static let patience = Duration.seconds(10)

    /// - Parameters:
    ///   - bucket: where they are.
    ///   - hasRead: whether everything was read once.
    ///   - trouble: what is in the way now.
    ///   - publishingSince: when it became possible to publish events; `nil` if it is not.
    init(
        of bucket: BucketName,
        hasRead: Bool,
        trouble: BucketTrouble?,
        publishingSince: ContinuousClock.Instant?,
        now: ContinuousClock.Instant = .now
    ) {
        if hasRead {
            self = trouble.map { .behind($0.reason) } ?? .current
        } else if let trouble, trouble.isRefusal {
            self = .refused(trouble.reason)
        } else if let publishingSince, now - publishingSince >= Self.patience {
            self = .refused(trouble?.reason ?? "reading bucket \(bucket) takes long")
        } else {
            self = .reading
        }
    }
}

/// Why a bucket cannot be used now.
struct BucketTrouble: Sendable, Equatable {
    /// For people; names the bucket.
    let reason: String
    /// Whether NATS said no, so that waiting does not help.
    let isRefusal: Bool

    init(_ bucket: BucketName, _ error: JetStreamError) {
        var words = "bucket \(bucket): \(error.description)"
        if error == .timeout {
            words +=
                "; if others are answered, the user's permissions do not allow what Sluice asks of \(bucket.stream)"
        }
        reason = words
        isRefusal =
            switch error {
            case .api(let code, _, _): code < 500
            case .badResponse: true
            case .notConnected, .overloaded, .closed, .timeout, .connectionLost, .noResponders: false
            }
    }

    /// The bucket's watch has ended and is being begun anew.
    init(_ bucket: BucketName, watchLost reason: String) {
        self.reason = "bucket \(bucket): \(reason)"
        isRefusal = false
    }
}
