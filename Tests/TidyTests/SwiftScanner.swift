/// Blanks what is not code in a Swift text, so that rules on code are not fooled by comments and strings.
///
/// Comments, the text of string literals, raw identifiers between backticks and extended regular expressions become
/// spaces; newlines stay, so line numbers and columns stay. Code inside an interpolation is code and is kept.
struct SwiftScanner {
    private enum Region {
        case code
        case interpolation(depth: Int)
        case string(pounds: Int, multiline: Bool)
    }

    private let input: [UInt8]
    private var output: [UInt8]
    private var position = 0
    private var regions: [Region] = [.code]

    private init(_ text: String) {
        input = Array(text.utf8)
        output = input
    }

    /// Returns the text with everything but code replaced by spaces, byte for byte.
    static func code(of text: String) -> [UInt8] {
        var scanner = SwiftScanner(text)
        while scanner.position < scanner.input.count {
            scanner.step()
        }
        return scanner.output
    }

    private mutating func step() {
        switch regions.last ?? .code {
        case .string(let pounds, let multiline): stepInString(pounds: pounds, multiline: multiline)
        case .code, .interpolation: stepInCode()
        }
    }

    private mutating func stepInCode() {
        if starts("//") {
            blank(until: { $0.input[$0.position] == UInt8(ascii: "\n") })
        } else if starts("/*") {
            blankBlockComment()
        } else if starts("`") {
            blank(1)
            blank(until: { $0.starts("`") || $0.starts("\n") })
            blank(1)
        } else if starts("#") || starts("\"") {
            openLiteral()
        } else {
            countParenthesis()
            position += 1
        }
    }

    /// Follows the parentheses of an interpolation, whose last one gives back to the string.
    private mutating func countParenthesis() {
        guard case .interpolation(let depth) = regions.last else { return }
        if starts("(") {
            regions[regions.count - 1] = .interpolation(depth: depth + 1)
        } else if starts(")") {
            if depth == 1 {
                regions.removeLast()
            } else {
                regions[regions.count - 1] = .interpolation(depth: depth - 1)
            }
        }
    }

    private mutating func openLiteral() {
        var pounds = 0
        while position + pounds < input.count, input[position + pounds] == UInt8(ascii: "#") { pounds += 1 }
        let next = position + pounds < input.count ? input[position + pounds] : 0
        if next == UInt8(ascii: "\"") {
            blank(pounds)
            let multiline = starts("\"\"\"")
            blank(multiline ? 3 : 1)
            regions.append(.string(pounds: pounds, multiline: multiline))
        } else if next == UInt8(ascii: "/"), pounds > 0 {
            let end = "/" + String(repeating: "#", count: pounds)
            blank(pounds + 1)
            blank(until: { $0.starts(end) })
            blank(pounds + 1)
        } else {
            position += max(pounds, 1)
        }
    }

    private mutating func stepInString(pounds: Int, multiline: Bool) {
        let guardMarks = String(repeating: "#", count: pounds)
        if starts("\\" + guardMarks + "(") {
            blank(pounds + 1)
            position += 1
            regions.append(.interpolation(depth: 1))
        } else if starts("\\" + guardMarks) {
            blank(pounds + 1)
            blank(1)
        } else if starts((multiline ? "\"\"\"" : "\"") + guardMarks) {
            blank((multiline ? 3 : 1) + pounds)
            regions.removeLast()
        } else {
            // A newline ends a one-line literal that was never closed: the damage stays on its line.
            if !multiline, starts("\n") { regions.removeLast() }
            blank(1)
        }
    }

    private mutating func blankBlockComment() {
        var depth = 0
        repeat {
            if starts("/*") {
                depth += 1
                blank(2)
            } else if starts("*/") {
                depth -= 1
                blank(2)
            } else {
                blank(1)
            }
        } while depth > 0 && position < input.count
    }

    private mutating func blank(_ count: Int) {
        for _ in 0..<count where position < input.count {
            if input[position] != UInt8(ascii: "\n") { output[position] = UInt8(ascii: " ") }
            position += 1
        }
    }

    private mutating func blank(until isEnd: (SwiftScanner) -> Bool) {
        while position < input.count, !isEnd(self) { blank(1) }
    }

    private func starts(_ text: String) -> Bool {
        let bytes = text.utf8
        return position + bytes.count <= input.count
            && input[position..<position + bytes.count].elementsEqual(bytes)
    }
}
