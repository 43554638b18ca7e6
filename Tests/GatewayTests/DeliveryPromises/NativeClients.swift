import Foundation
import ServerFixtures
import Testing

/// Plain nats-py clients that join the durable consumer which a subscription's answer names, until the value goes away.
final class NativeClients {
    /// What a client met.
    struct Encounter {
        let client: Int
        let id: String
        let type: String
    }

    private let folder: TemporaryDirectory
    private let process: ChildProcess

    /// Starts so many clients.
    ///
    /// What an event's type ends with says what becomes of it: `.poison` is terminated, `.ignored` never acknowledged,
    /// all else acknowledged.
    ///
    /// - Parameter binding: The answer's `protocolsettings`.
    init(_ clients: Int, url: String, binding: WireJSON) throws {
        folder = TemporaryDirectory()
        let program = "\(folder.path)/clients.py"
        try Data(Self.program.utf8).write(to: URL(fileURLWithPath: program))
        let stream = try #require(binding["stream"].string)
        let consumer = try #require(binding["consumer"].string)
        let arguments = [program, url, stream, consumer, "\(clients)"]
        let interpreter = try PythonProgram.interpreter()
        process = try #require(ChildProcess(interpreter, arguments, logPath: "\(folder.path)/log"))
    }

    /// What they met so far, redeliveries included.
    var met: [Encounter] {
        process.log.split(separator: "\n").compactMap { line in
            guard let json = try? WireJSON(parsing: Array(line.utf8)), let client = json["client"].int else {
                return nil
            }
            return Encounter(client: client, id: json["id"].string ?? "", type: json["type"].string ?? "")
        }
    }

    /// Waits until they have met so many.
    func haveMet(_ count: Int) -> Bool {
        waitUntil(timeout: .seconds(60)) { met.count >= count || !process.isRunning } && process.isRunning
    }

    /// What they wrote, for failures.
    var log: String { process.log }

    private static let program = #"""
        import asyncio, json, sys
        import nats
        from nats.errors import TimeoutError

        url, stream, consumer, clients = *sys.argv[1:4], int(sys.argv[4])

        async def client(number):
            connection = await nats.connect(url)
            queue = await connection.jetstream().pull_subscribe_bind(consumer=consumer, stream=stream)
            while True:
                try:
                    [message] = await queue.fetch(1, timeout=5)
                except TimeoutError:
                    continue
                event = json.loads(message.data)
                print(json.dumps(dict(client=number, id=event["id"], type=event["type"])), flush=True)
                if event["type"].endswith(".poison"):
                    await message.term()
                elif not event["type"].endswith(".ignored"):
                    await message.ack_sync(timeout=10)

        async def main():
            await asyncio.gather(*(client(number) for number in range(clients)))

        asyncio.run(main())
        """#
}
