import Foundation

/// The working copy that these tests belong to.
enum Repository {
    /// The folder that holds `Package.swift`.
    static let root: URL = {
        var folder = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        while folder.path != "/", !FileManager.default.fileExists(atPath: folder.appending(path: "Package.swift").path)
        {
            folder.deleteLastPathComponent()
        }
        return folder
    }()

    /// Every Swift file of the package's own targets, and the manifest.
    static func swiftFiles() throws -> [SourceFile] {
        try textFiles().filter { $0.isSwift && ($0.isSource || $0.isTest || $0.path == "Package.swift") }
    }

    /// Every text file that belongs to the repository, ignored folders left out.
    static func textFiles() throws -> [SourceFile] {
        var files: [SourceFile] = []
        for name in try topLevelNames() {
            try collect(root.appending(path: name), path: name, into: &files)
        }
        return files
    }

    /// The names in the root that git does not ignore.
    static func topLevelNames() throws -> [String] {
        let ignored = try ignoredNames()
        return try FileManager.default.contentsOfDirectory(atPath: root.path).filter { $0 != ".git" && !ignored($0) }
            .sorted()
    }

    /// Reads one file of the repository.
    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    private static func ignoredNames() throws -> (String) -> Bool {
        let patterns = try text(".gitignore").split(separator: "\n").map { line in
            line.trimmingCharacters(in: .whitespaces).trimmingCharacters(in: CharacterSet(charactersIn: "/"))
        }
        return { name in
            patterns.contains { $0.hasPrefix("*") ? name.hasSuffix(String($0.dropFirst())) : name == $0 }
        }
    }

    private static func collect(_ url: URL, path: String, into files: inout [SourceFile]) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else { return }
        if isFolder.boolValue {
            let ignored = try ignoredNames()
            for name in try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() where !ignored(name) {
                // Fixtures are data from elsewhere, kept as they came.
                if name != "Fixtures" { try collect(url.appending(path: name), path: path + "/" + name, into: &files) }
            }
        } else if let text = try? String(contentsOf: url, encoding: .utf8) {
            files.append(SourceFile(path: path, text: text))
        }
    }
}
