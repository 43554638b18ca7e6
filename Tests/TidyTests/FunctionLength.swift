/// Measures declarations with a body: from the line of `func`, `init`, `var` … to the line of the closing brace.
struct FunctionLength {
    /// One declaration and how long it is.
    struct Body: Equatable {
        /// The line of its keyword, counted from 1.
        let line: Int
        /// How many lines it takes, first and last included.
        let count: Int
    }

    /// Returns every declaration in the file that has a body.
    static func bodies(in file: SourceFile) -> [Body] {
        let tokens = tokenize(file)
        return tokens.indices.compactMap { index in
            guard let end = end(of: index, in: tokens) else { return nil }
            return Body(line: tokens[index].line, count: tokens[end].line - tokens[index].line + 1)
        }
    }

    private struct Token {
        let text: Substring
        let line: Int
    }

    private static let functions: Set<Substring> = ["func", "init", "deinit", "subscript"]
    private static let properties: Set<Substring> = ["var", "let"]
    private static let openers: Set<Substring> = ["(", "["]
    private static let closers: Set<Substring> = [")", "]"]
    /// What cannot stand between a declaration's keyword and its body: a requirement of a protocol ends here.
    private static let stops: Set<Substring> = [
        "}", "func", "init", "deinit", "subscript", "var", "let", "case", "struct", "class", "enum", "protocol",
        "extension", "associatedtype", "typealias",
    ]

    private static func end(of start: Int, in tokens: [Token]) -> Int? {
        let keyword = tokens[start].text
        let isProperty = properties.contains(keyword)
        guard isProperty || functions.contains(keyword) else { return nil }
        if start > 0, tokens[start - 1].text == "." { return nil }
        var depth = 0
        for index in (start + 1)..<max(tokens.count, start + 1) {
            let token = tokens[index]
            // A property's body opens on its own line; what opens later belongs to another statement.
            if isProperty, depth == 0, token.line != tokens[start].line { return nil }
            if openers.contains(token.text) { depth += 1 }
            if closers.contains(token.text) { depth -= 1 }
            if depth < 0 { return nil }
            guard depth == 0 else { continue }
            if token.text == "{" { return closingBrace(of: index, in: tokens) }
            if stops.contains(token.text) { return nil }
        }
        return nil
    }

    private static func closingBrace(of opening: Int, in tokens: [Token]) -> Int? {
        var depth = 0
        for index in opening..<tokens.count {
            if tokens[index].text == "{" { depth += 1 }
            if tokens[index].text == "}" {
                depth -= 1
                if depth == 0 { return index }
            }
        }
        return nil
    }

    private static func tokenize(_ file: SourceFile) -> [Token] {
        file.codeLines.enumerated().flatMap { index, line in words(line).map { Token(text: $0, line: index + 1) } }
    }

    private static func words(_ line: String) -> [Substring] {
        var words: [Substring] = []
        var rest = line[...]
        while let first = rest.utf8.first {
            var count = 1
            if SourceFile.isNamePart(first) { count = rest.utf8.prefix(while: SourceFile.isNamePart).count }
            let end = rest.utf8.index(rest.startIndex, offsetBy: count)
            if first != UInt8(ascii: " ") { words.append(rest[..<end]) }
            rest = rest[end...]
        }
        return words
    }
}
