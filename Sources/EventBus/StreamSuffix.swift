import JetStream

extension StreamName {
    /// The event stream that buckets and consumers beside it do not name.
    private static let standard = "SLUICE_EVENTS"

    /// What the names of buckets and consumers end with that belong to this event stream, so that gateways of two streams
    /// share none; a stream's name may be longer than theirs.
    var suffix: String {
        if text.utf8.elementsEqual(Self.standard.utf8) { return "" }
        return "_" + (text.utf8.count <= 128 ? text : SHA256Digest(text).shortText)
    }
}
