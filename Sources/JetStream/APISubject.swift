/// A subject of JetStream's API: made from checked names only.
struct APISubject: Sendable {
    let text: String

    private init(_ text: String) { self.text = text }

    static let accountInfo = APISubject("$JS.API.INFO")
    static func streamInfo(_ name: StreamName) -> APISubject { APISubject("$JS.API.STREAM.INFO.\(name.text)") }
    static func createStream(_ name: StreamName) -> APISubject { APISubject("$JS.API.STREAM.CREATE.\(name.text)") }
    static func updateStream(_ name: StreamName) -> APISubject { APISubject("$JS.API.STREAM.UPDATE.\(name.text)") }
    static func message(in name: StreamName) -> APISubject { APISubject("$JS.API.STREAM.MSG.GET.\(name.text)") }
}
