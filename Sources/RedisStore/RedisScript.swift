/// A Lua script that Redis keeps and runs by its SHA-1.
public struct RedisScript: Sendable {
    /// The Lua source.
    public let source: String
    /// SHA-1 of the source in lower-case hexadecimal, the name Redis gives it.
    public let digest: String

    /// A script; its digest is computed here, nothing is sent.
    public init(_ source: String) {
        self.source = source
        digest = SHA1.hexadecimal(of: Array(source.utf8))
    }

    func command(
        _ name: StaticString,
        _ script: String.UTF8View,
        keys: [[UInt8]],
        arguments: [[UInt8]]
    ) -> RedisCommand {
        var command = RedisCommand(name)
        command.append(script)
        command.append(keys.count)
        for key in keys { command.append(key) }
        for argument in arguments { command.append(argument) }
        return command
    }
}
