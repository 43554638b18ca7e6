/// A configuration file: one JSON object, whose members are named as the environment variables in lower case.
package struct ConfigurationFile: Sendable {
    package let path: String
    /// Values by environment name.
    package let values: [String: String]
    /// What is wrong with the file, one sentence each.
    package let problems: [String]

    /// Reads the content of a file.
    ///
    /// Never fails: what is wrong becomes part of all that is reported at once.
    ///
    /// - Parameters:
    ///   - path: As given by the user; for messages.
    ///   - content: The file's bytes, or the reason why there are none.
    package init(path: String, content: Result<[UInt8], FileError>) {
        self.path = path
        let place = "the file \(SafeText.escaped(path))"
        switch content {
        case .failure(let error):
            values = [:]
            problems = ["\(place) cannot be read: \(error.reason)"]
        case .success(let bytes):
            do {
                let json = try JSONText(parsing: bytes)
                guard case .object(let members) = json else {
                    values = [:]
                    problems = ["\(place) must hold one JSON object, like {\"nats_url\": \"nats://localhost:4222\"}"]
                    return
                }
                (values, problems) = Self.read(members, place: place)
            } catch {
                values = [:]
                problems = ["\(place) is not valid JSON: \(error)"]
            }
        }
    }

    private static func read(_ members: [JSONText.Member], place: String) -> ([String: String], [String]) {
        var values: [String: String] = [:]
        var problems: [String] = []
        let keys = Setting.all.map(\.fileKey)
        for member in members {
            guard let setting = Setting.all.first(where: { $0.fileKey == member.name }) else {
                var problem = "\(SafeText.quoted(member.name)) is not a setting (from \(place))"
                if let near = Suggestion.nearest(to: member.name.lowercased(), in: keys) {
                    problem += "; did you mean '\(near)'?"
                }
                problems.append(problem)
                continue
            }
            switch text(of: member.value) {
            case .success(let text): values[setting.name] = text
            case .failure(let fault): problems.append("\(setting.name): \(fault.reason) (from \(place))")
            }
        }
        return (values, problems)
    }

    /// The text of a scalar, or of a list of strings joined by commas; `null` is as if the member were not there.
    private static func text(of value: JSONText) -> Result<String?, SettingFault> {
        switch value {
        case .string(let text): return .success(text.isEmpty ? nil : text)
        case .number(let lexeme): return .success(lexeme)
        case .bool(let value): return .success(value ? "true" : "false")
        case .null: return .success(nil)
        case .array(let elements):
            let texts = elements.compactMap(\.string)
            guard texts.count == elements.count, !texts.isEmpty else {
                return .failure(SettingFault("a list may hold only strings, and at least one"))
            }
            return .success(texts.joined(separator: ","))
        case .object: return .failure(SettingFault("an object is no value of a setting"))
        }
    }
}

/// Finds what a mistyped name may have meant.
enum Suggestion {
    /// The candidate with the fewest edits to `name`, when a third of its letters or fewer differ.
    static func nearest(to name: String, in candidates: [String]) -> String? {
        let measured = candidates.map {
            (candidate: $0, distance: distance(Array(name.utf8.prefix(64)), Array($0.utf8)))
        }
        guard let best = measured.min(by: { $0.distance < $1.distance }) else { return nil }
        return best.distance <= max(2, best.candidate.utf8.count / 3) ? best.candidate : nil
    }

    /// Levenshtein's distance.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (index, byte) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, other) in right.enumerated() {
                let cost = min(row[column] + 1, row[column + 1] + 1, diagonal + (byte == other ? 0 : 1))
                diagonal = row[column + 1]
                row[column + 1] = cost
            }
        }
        return row[right.count]
    }
}
