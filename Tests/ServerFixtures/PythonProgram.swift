import Foundation

/// A Python program run to its end, with the interpreter that has the packages the tests need.
package enum PythonProgram {
    /// Runs a program and returns the lines it printed.
    ///
    /// - Parameter path: The program's file.
    /// - Throws: ``PythonProgramError`` when there is no interpreter, or when the program fails: with what it wrote to
    ///   standard error.
    package static func run(_ path: String, arguments: [String]) throws -> [String] {
        guard let python = ProcessInfo.processInfo.environment["SLUICE_TEST_PYTHON"], !python.isEmpty else {
            throw PythonProgramError(
                "SLUICE_TEST_PYTHON names no Python with the package cloudevents; ./deploy/test sets one up: run that"
            )
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: python)
        process.arguments = [path] + arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        let complaint = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw PythonProgramError("\(path): \(complaint)") }
        return text.split(separator: "\n").map(String.init)
    }
}

/// Why a Python program could not be run, or failed.
package struct PythonProgramError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
