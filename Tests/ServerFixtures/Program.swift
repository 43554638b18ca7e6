package import Foundation

/// A program run to its end, with something on its standard input.
package enum Program {
    /// What became of it.
    package struct Result {
        package let status: Int32
        package let output: String
    }

    /// Runs a program that is in PATH.
    ///
    /// - Throws: What `Process` throws when there is none: nothing passes because a tool is missing.
    package static func run(
        _ name: String,
        _ arguments: [String],
        input: [UInt8] = [],
        in folder: URL? = nil
    ) throws -> Result {
        let directory = TemporaryDirectory()
        let (inputPath, outputPath) = ("\(directory.path)/input", "\(directory.path)/output")
        try Data(input).write(to: URL(filePath: inputPath))
        try Data().write(to: URL(filePath: outputPath))
        let output = try FileHandle(forWritingTo: URL(filePath: outputPath))
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [name] + arguments
        process.currentDirectoryURL = folder
        process.standardInput = try FileHandle(forReadingFrom: URL(filePath: inputPath))
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        let text = try String(contentsOf: URL(filePath: outputPath), encoding: .utf8)
        return Result(status: process.terminationStatus, output: text)
    }
}
