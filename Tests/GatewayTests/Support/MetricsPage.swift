import Foundation
import ServerFixtures

/// A page of metrics in Prometheus' text format, read line by line.
struct MetricsPage {
    /// The type of each metric.
    private(set) var types: [String: String] = [:]
    private var values: [String: Double] = [:]

    struct Unreadable: Error {
        let line: String
    }

    init(_ answer: HTTPResponse) throws {
        for line in answer.text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if line.hasPrefix("# TYPE "), words.count == 4 {
                types[String(words[2])] = String(words[3])
            } else if !line.hasPrefix("#") {
                guard let end = line.lastIndex(of: " "), let value = Double(line[line.index(after: end)...]) else {
                    throw Unreadable(line: String(line))
                }
                values[String(line[..<end])] = value
            }
        }
    }

    /// The value of a series, written as it stands on the page.
    subscript(series: String) -> Double? { values[series] }

    /// The series of a metric.
    func series(_ name: String) -> [String] { values.keys.filter { $0 == name || $0.hasPrefix(name + "{") } }

    /// The sum over all series of a metric.
    func sum(_ name: String) -> Double { series(name).reduce(0) { $0 + (values[$1] ?? 0) } }

    /// The rows of the README's table of metrics: name and type.
    static func documented() throws -> [String: String] {
        var folder = URL(filePath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        while folder.path != "/", !FileManager.default.fileExists(atPath: folder.appending(path: "README.md").path) {
            folder.deleteLastPathComponent()
        }
        let readme = try String(contentsOf: folder.appending(path: "README.md"), encoding: .utf8)
        var rows: [String: String] = [:]
        for line in readme.split(separator: "\n") where line.hasPrefix("| `sluice_") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            let type = cells.count > 1 ? cells[1] : ""
            for name in cells[0].split(separator: ",") {
                rows[name.trimmingCharacters(in: CharacterSet(charactersIn: " `"))] = type
            }
        }
        return rows
    }
}
