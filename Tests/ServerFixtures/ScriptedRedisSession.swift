import Foundation
import Glibc

/// One connection of a ``ScriptedRedis``, on a thread of its own.
struct ScriptedRedisSession {
    let number: Int
    let socket: TestSocket
    let state: Shared<ScriptedRedis.State>
    let react: @Sendable (ScriptedRedis.Command) -> ScriptedRedis.Reaction

    /// Until the connection ends, from either side.
    func run(_ greeting: ScriptedRedis.Greeting) {
        defer { socket.close() }
        switch greeting {
        case .normal: while let arguments = readCommand(), answer(arguments) {}
        case .always(let text): while readCommand() != nil, socket.send(text) {}
        case .close: return
        case .silent: waitForEnd()
        case .raw(let text):
            socket.send(text)
            waitForEnd()
        }
    }

    /// The arguments of the next command; nil at the end.
    private func readCommand() -> [[UInt8]]? {
        guard let head = socket.readLine(timeoutMilliseconds: -1), head.first == "*", let count = Int(head.dropFirst())
        else { return nil }
        var arguments: [[UInt8]] = []
        for _ in 0..<count {
            guard let line = socket.readLine(timeoutMilliseconds: -1), line.first == "$",
                let length = Int(line.dropFirst()),
                let bytes = socket.read(length + 2, timeoutMilliseconds: -1)
            else { return nil }
            arguments.append(Array(bytes.dropLast(2)))
        }
        return arguments
    }

    /// False when the connection has ended.
    private func answer(_ arguments: [[UInt8]]) -> Bool {
        switch String(decoding: arguments.first ?? [], as: UTF8.self).uppercased() {
        case "AUTH", "SELECT", "CLIENT": return socket.send("+OK\r\n")
        case "PING": return socket.send("+PONG\r\n")
        case "INFO":
            let text = "# Server\r\nredis_version:7.0.15\r\n"
            return socket.send("$\(text.utf8.count)\r\n\(text)\r\n")
        default: break
        }
        let command = state.withLock { state in
            let command = ScriptedRedis.Command(connection: number, number: state.commands.count, arguments: arguments)
            state.commands.append(command)
            return command
        }
        return perform(react(command))
    }

    private func perform(_ reaction: ScriptedRedis.Reaction) -> Bool {
        switch reaction {
        case .silence: return true
        case .raw(let text): return socket.send(text)
        case .close: return false
        case .reset:
            var option = linger(l_onoff: 1, l_linger: 0)
            setsockopt(socket.descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
            // The reset goes out when the descriptor is closed: replaced by another socket's, since its owner closes it.
            let other = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            dup2(other, socket.descriptor)
            close(other)
            return false
        case .endless(let first, let second):
            guard socket.send(first) else { return false }
            while socket.send(second) {}
            return false
        case .trickle(let text, let pause):
            while true {
                for byte in text.utf8 {
                    guard socket.send([byte]) else { return false }
                    pass(pause)
                }
            }
        case .all(let reactions): return reactions.allSatisfy(perform)
        case .after(let pause, let reaction):
            pass(pause)
            return perform(reaction)
        }
    }

    /// Lets so much time pass, on this thread.
    private func pass(_ pause: Duration) {
        _ = poll(nil, 0, Int32(pause / .milliseconds(1)))
    }

    private func waitForEnd() {
        while let bytes = socket.receive(timeoutMilliseconds: -1), !bytes.isEmpty {}
    }
}
