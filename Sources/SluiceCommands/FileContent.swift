import Glibc

/// Why a file could not be used, in words.
package struct FileError: Error, Sendable, Equatable {
    package let reason: String

    package init(_ reason: String) {
        self.reason = reason
    }

    /// The reason that `errno` gives.
    static func system(_ code: Int32 = errno) -> FileError {
        FileError(String(cString: strerror(code)).lowercased())
    }
}

/// Reads and writes whole files.
enum FileContent {
    /// Reads a file of at most `limit` bytes; `-` is standard input.
    static func read(_ path: String, limit: Int) -> Result<[UInt8], FileError> {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(.system()) }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { return .success(content) }
            if count < 0 {
                if errno == EINTR { continue }
                return .failure(.system())
            }
            content.append(contentsOf: chunk[..<count])
            guard content.count <= limit else { return .failure(FileError("it is larger than \(limit) bytes")) }
        }
    }

    /// Makes a directory and those above it that are missing.
    static func makeDirectories(_ path: String) throws(FileError) {
        var index = path.startIndex
        while index < path.endIndex {
            index = path[path.index(after: index)...].firstIndex(of: "/") ?? path.endIndex
            if mkdir(String(path[..<index]), 0o755) != 0, errno != EEXIST { throw .system() }
        }
        var information = stat()
        guard stat(path, &information) == 0 else { throw .system() }
        guard information.st_mode & S_IFMT == S_IFDIR else { throw FileError("it is not a directory") }
    }

    /// The path with the current directory in front, unless it is absolute.
    static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let current = getcwd(nil, 0) else { return path }
        defer { free(current) }
        return String(cString: current) + "/" + path
    }
}

/// The environment the process was started with.
enum ProcessEnvironment {
    /// The value of a variable; what is not UTF-8 is repaired, an empty value counts as not set.
    static func value(_ name: String) -> String? {
        guard let text = getenv(name), text.pointee != 0 else { return nil }
        return String(cString: text)
    }

    /// The variables of those names that are set.
    static func values(_ names: some Sequence<String>) -> [String: String] {
        var values: [String: String] = [:]
        for name in names { values[name] = value(name) }
        return values
    }
}
