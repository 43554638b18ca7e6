import CloudEvents
import Foundation

/// The bytes of a text as the decoders take them.
func bytes(_ text: String) -> ArraySlice<UInt8> { Array(text.utf8)[...] }

/// The text of some bytes that are known to be UTF-8.
func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }

extension JSONFormat {
    /// The violations of a text, empty if it is a valid event.
    static func violations(in text: String) -> [Violation] {
        violations(in: bytes(text))
    }

    static func violations(in text: ArraySlice<UInt8>) -> [Violation] {
        do throws(InvalidEvent) {
            _ = try decode(text)
            return []
        } catch {
            return error.violations
        }
    }
}

/// The violations of a message in binary mode: the four required fields, replaced or joined by `fields`.
func violations(inFields fields: [(String, String)], body: String = "") -> [Violation] {
    do throws(InvalidEvent) {
        _ = try HTTPBinding.decode(fields: minimal(fields), body: bytes(body))
        return []
    } catch {
        return error.violations
    }
}

/// The four required fields, those that `fields` holds left out, then `fields`.
func minimal(_ fields: [(String, String)]) -> [(name: String, value: String)] {
    let required = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")]
    let given = Set(fields.map { $0.0.lowercased() })
    return (required.filter { !given.contains($0.0) } + fields).map { (name: $0.0, value: $0.1) }
}

/// An event in JSON with the four required attributes and what is given besides.
func document(_ members: String = "") -> String {
    #"{"specversion":"1.0","id":"1","source":"/s","type":"t""# + (members.isEmpty ? "" : "," + members) + "}"
}

/// The lines of a fixture as JSON objects.
func fixture(_ name: String) throws -> [[String: Any]] {
    let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures/\(name)")
    return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").compactMap { line in
        try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    }
}
