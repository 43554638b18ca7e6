import Foundation
import Glibc
import Logging
import ServerFixtures
import SluiceCommands
import Testing

/// The queue between those who log and the reader of the log, who may be slow or gone.
struct LogQueueTests {
    private func limits(lines: Int = 8192, bytes: Int = 4_194_304) -> LogQueue.Limits {
        var limits = LogQueue.Limits()
        (limits.linesMax, limits.bytesMax) = (lines, bytes)
        return limits
    }

    private func logger(_ queue: LogQueue) -> Logger {
        Logger(label: "test") { _ in LineLogHandler(level: .info, format: .json, queue: queue) }
    }

    @Test(arguments: [(100, 4_194_304), (8192, 20_000)])
    func `nobody waits for a reader that stalls, and what is dropped is counted`(
        linesMax: Int,
        bytesMax: Int
    ) async throws {
        let pipe = try LogPipe()
        pipe.fill()
        let queue = try LogQueue(
            descriptor: pipe.writing,
            format: .json,
            limits: limits(lines: linesMax, bytes: bytesMax)
        )
        let logger = logger(queue)
        let hasReturned = Shared(false)
        let caller = Task {
            await onThread {
                for number in 0..<5000 { logger.info("\(number)") }
                hasReturned.withLock { $0 = true }
            }
        }
        try #require(await eventually { hasReturned.current })
        await caller.value
        #expect(pipe.isFull)

        let lines = await pipe.read(calls: 5000)
        let kept = lines.prefix { $0.dropped == nil }
        #expect(kept.map(\.message) == (0..<kept.count).map(String.init))
        #expect(lines.dropFirst(kept.count).map(\.dropped) == [5000 - kept.count])
        let bytes = kept.reduce(0) { $0 + $1.size }
        // What is no line but only the room for one is less than 256 bytes.
        #expect(kept.count == linesMax || (bytesMax - 256...bytesMax).contains(bytes))

        logger.info("after")
        #expect(await pipe.read(calls: 5001).last?.message == "after")
    }

    @Test func `the count of dropped lines stands where they are missing`() async throws {
        let pipe = try LogPipe()
        let queue = try LogQueue(descriptor: pipe.writing, format: .json, limits: limits(lines: 20))
        let logger = logger(queue)
        let reader = Task { await pipe.read(calls: 20_000) }
        await onThread { for number in 0..<20_000 { logger.info("\(number)") } }
        var next = 0
        for line in await reader.value {
            if line.dropped == nil { #expect(line.message == String(next)) }
            next += line.calls
        }
        #expect(next == 20_000)
    }

    @Test func `lines of several threads stay whole and each thread's in order`() async throws {
        let pipe = try LogPipe()
        let queue = try LogQueue(descriptor: pipe.writing, format: .json, limits: limits())
        let logger = logger(queue)
        let padding = String(repeating: "x", count: 700)
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<8 {
                group.addTask {
                    await onThread {
                        for number in 0..<500 { logger.info("\(thread) \(number) \(padding.prefix(number))") }
                    }
                }
            }
        }
        let messages = await pipe.read(calls: 4000).map(\.message)
        #expect(messages.count == 4000)
        let words = try messages.map { try #require($0).split(separator: " ").prefix(2).compactMap { Int($0) } }
        for thread in 0..<8 {
            #expect(words.filter { $0.first == thread }.map(\.last) == Array(0..<500))
        }
    }

    @Test func `a flush waits for what was logged, but no longer than it may`() async throws {
        let pipe = try LogPipe()
        let queue = try LogQueue(descriptor: pipe.writing, format: .json, limits: limits(lines: 2000))
        let logger = logger(queue)
        for number in 0..<100 { logger.info("\(number)") }
        #expect(await onThread { queue.flush(within: .seconds(20)) })
        #expect(pipe.read().count == 100)

        for number in 100..<8000 { logger.info("\(number)") }
        let start = ContinuousClock.now
        #expect(await onThread { !queue.flush(within: .milliseconds(200)) })
        let waited = ContinuousClock.now - start
        #expect(waited >= .milliseconds(200) && waited < .seconds(10))

        let reader = Task { await pipe.read(calls: 8000) }
        #expect(await onThread { queue.flush(within: .seconds(20)) })
        #expect(await reader.value.last?.dropped != nil)
    }

    @Test func `a flush does not wait where nothing can be written, and the loss is told later`() throws {
        let directory = TemporaryDirectory()
        let path = directory.path + "/log"
        let descriptor = open("/dev/full", O_WRONLY | O_CLOEXEC)
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        try #require(descriptor >= 0 && file >= 0)
        defer { for opened in [descriptor, file] { close(opened) } }
        let queue = try LogQueue(descriptor: descriptor, format: .json)
        let logger = logger(queue)
        for number in 0..<3 { logger.info("\(number)") }
        #expect(queue.flush(within: .seconds(20)))
        #expect(dup2(file, descriptor) == descriptor)
        logger.info("again")
        #expect(queue.flush(within: .seconds(20)))
        let content = try Data(contentsOf: URL(fileURLWithPath: path))
        let lines = Array(content).split(separator: 10).map(LoggedLine.init)
        #expect(lines.map(\.calls) == [3, 1])
        #expect(lines.last?.message == "again")
    }

    @Test func `a queue that is let go still writes what it holds`() async throws {
        let pipe = try LogPipe()
        do {
            let queue = try LogQueue(descriptor: pipe.writing, format: .json)
            let logger = logger(queue)
            for number in 0..<3000 { logger.info("\(number)") }
        }
        #expect(await pipe.read(calls: 3000).map(\.message) == (0..<3000).map(String.init))
    }
}
