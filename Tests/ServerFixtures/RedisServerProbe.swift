/// A plain RESP connection to a Redis server on loopback: the tests' own look at it.
package final class RedisProbe: Sendable {
    private let socket: TestSocket

    /// Nil if refused.
    package init?(port: UInt16) {
        guard let socket = TestSocket.connect(port: port) else { return nil }
        self.socket = socket
    }

    /// Sends a command and reads its answer as text; nil if none comes.
    package func command(_ arguments: [String]) -> String? {
        send(arguments) ? read() : nil
    }

    /// Sends a command only.
    package func send(_ arguments: [String]) -> Bool {
        let parts = arguments.map { "$\($0.utf8.count)\r\n\($0)\r\n" }
        return socket.send("*\(parts.count)\r\n" + parts.joined())
    }

    /// One answer as text; nil if none comes.
    package func read() -> String? {
        guard let line = socket.readLine() else { return nil }
        let rest = String(line.dropFirst())
        switch line.first {
        case "+", ":": return rest
        case "-": return line
        case "$":
            guard let count = Int(rest) else { return nil }
            if count < 0 { return "nil" }
            return socket.read(count + 2).map { String(decoding: $0.dropLast(2), as: UTF8.self) }
        case "*":
            guard let count = Int(rest) else { return nil }
            var elements: [String] = []
            for _ in 0..<max(count, 0) {
                guard let element = read() else { return nil }
                elements.append(element)
            }
            return elements.joined(separator: "\n")
        default: return nil
        }
    }
}
