import Foundation

/// The files under `deploy`.
enum DeployFiles {
    /// The folder itself.
    static let folder: URL = {
        var folder = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        while folder.path != "/", !FileManager.default.fileExists(atPath: folder.appending(path: "Package.swift").path)
        {
            folder.deleteLastPathComponent()
        }
        return folder.appending(path: "deploy")
    }()

    static func readme() throws -> String {
        try String(contentsOf: folder.deletingLastPathComponent().appending(path: "README.md"), encoding: .utf8)
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOf: folder.appending(path: path), encoding: .utf8)
    }
}
