import Foundation

/// Files of tests.
enum TestFile {
    /// Returns nil if it cannot be written.
    static func write(_ path: String, _ bytes: UnsafeRawBufferPointer) -> Void? {
        FileManager.default.createFile(atPath: path, contents: Data(bytes)) ? () : nil
    }
}
