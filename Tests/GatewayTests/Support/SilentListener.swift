import ServerFixtures
import Testing

/// Accepts connections, says hello like nats-server, and then nothing more: a peer that hangs in the handshake.
///
/// Single-threaded: the test calls ``acceptOne()`` when it wants to look.
final class SilentListener {
    private let listener: TestSocket
    private var accepted: [TestSocket] = []

    init(port: UInt16) throws {
        listener = try #require(TestSocket.listen(port: port), "port \(port) is taken")
    }

    /// Takes one waiting connection and sends it an INFO line.
    ///
    /// - Returns: Whether there was one.
    func acceptOne() -> Bool {
        guard let connection = listener.accept(timeoutMilliseconds: 0) else { return false }
        accepted.append(connection)
        let info = #"{"server_id":"S","version":"2.9.10","headers":true,"jetstream":true,"max_payload":1048576}"#
        return connection.send("INFO \(info)\r\n")
    }
}
