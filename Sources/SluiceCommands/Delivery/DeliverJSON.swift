import CloudEvents

/// A JSON value as it stands in an answer: only the levels that are asked for are read, the rest stays bytes.
///
/// Events come this way, since their data may hold what ``JSONText`` refuses (a member that occurs twice) and may be deep.
package struct JSONSlice: Sendable, Equatable {
    /// The value, without white space around it.
    package let bytes: ArraySlice<UInt8>

    /// Takes the text of one JSON value; its syntax is checked where it is read.
    ///
    /// - Throws: ``FileError`` when there is nothing in it.
    package init(parsing bytes: some Sequence<UInt8>) throws(FileError) {
        let text = Array(bytes).drop { $0 <= 0x20 }
        guard let last = text.lastIndex(where: { $0 > 0x20 }) else { throw FileError("it is empty") }
        self.bytes = text[...last]
    }

    private init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
    }

    /// The members of an object in order; `nil` when this is no object.
    ///
    /// The values are checked, each to its own depth.
    package var members: [(name: String, value: JSONSlice)]? {
        Self.scan(bytes) { scanner throws(JSONSyntaxError) in
            var members: [(name: String, value: JSONSlice)] = []
            try scanner.expect(UInt8(ascii: "{"))
            if try scanner.take(UInt8(ascii: "}")) {
                try scanner.expectEnd()
                return members
            }
            repeat {
                let token = try scanner.scanName()
                let name = scanner.text(of: token) ?? ""
                members.append((name, JSONSlice(try Self.value(&scanner, in: bytes))))
            } while try scanner.take(UInt8(ascii: ","))
            try scanner.expect(UInt8(ascii: "}"))
            try scanner.expectEnd()
            return members
        }
    }

    /// The elements of an array; `nil` when this is none.
    package var elements: [JSONSlice]? {
        Self.scan(bytes) { scanner throws(JSONSyntaxError) in
            var elements: [JSONSlice] = []
            try scanner.expect(UInt8(ascii: "["))
            if try scanner.take(UInt8(ascii: "]")) {
                try scanner.expectEnd()
                return elements
            }
            repeat {
                elements.append(JSONSlice(try Self.value(&scanner, in: bytes)))
            } while try scanner.take(UInt8(ascii: ","))
            try scanner.expect(UInt8(ascii: "]"))
            try scanner.expectEnd()
            return elements
        }
    }

    /// The value of the first member of that name.
    package subscript(name: String) -> JSONSlice? {
        members?.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    /// The text of a string.
    package var string: String? { (try? JSONText(parsing: bytes))?.string }

    /// A whole number that fits.
    package var integer: Int? { (try? JSONText(parsing: bytes))?.integer }

    /// The value of `true` and `false`.
    package var bool: Bool? { (try? JSONText(parsing: bytes))?.bool }

    /// Whether this is `null`.
    package var isNull: Bool { bytes.elementsEqual("null".utf8) }

    private static func value(
        _ scanner: inout JSONScanner,
        in bytes: ArraySlice<UInt8>
    ) throws(JSONSyntaxError) -> ArraySlice<UInt8> {
        scanner.skipWhitespace()
        let start = scanner.position
        do throws(JSONSyntaxError) {
            try scanner.skipValue()
        } catch {
            // An event may be as deep as the scanner goes, and stands a few levels down in an answer.
            guard error.reason == .tooDeep else { throw error }
            scanner.position = start
            try skipBrackets(&scanner)
        }
        return bytes[bytes.startIndex + start..<bytes.startIndex + scanner.position]
    }

    /// Takes an object or array of any depth by its brackets alone; what is in it is checked when it is read.
    private static func skipBrackets(_ scanner: inout JSONScanner) throws(JSONSyntaxError) {
        var depth = 0
        repeat {
            switch try scanner.peek() {
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            case UInt8(ascii: "\""):
                scanner.position += 1
                _ = try scanner.scanString()
                continue
            default: break
            }
            scanner.position += 1
        } while depth > 0
    }

    private static func scan<Result>(
        _ bytes: ArraySlice<UInt8>,
        _ body: (inout JSONScanner) throws(JSONSyntaxError) -> Result
    ) -> Result? {
        bytes.withUnsafeBufferPointer { buffer in
            var scanner = JSONScanner(buffer)
            return try? body(&scanner)
        }
    }
}

extension JSONSlice {
    /// The value on one line, safe on a terminal.
    ///
    /// White space between tokens is left out, and inside strings every character that could forge a line, move a cursor or
    /// hide is written as a `\u` escape. To a JSON reader the value is the same.
    package var line: [UInt8] { write(indented: false) }

    /// The same over several lines, two blanks per level.
    package var indented: [UInt8] { write(indented: true) }

    private func write(indented: Bool) -> [UInt8] {
        var printer = JSONPrinter(isIndented: indented)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\"") {
                let end = Self.stringEnd(bytes, from: index)
                printer.string(bytes[index..<end])
                index = end
            } else {
                printer.token(byte)
                index += 1
            }
        }
        return printer.output
    }

    /// Where the string that opens at `start` is over.
    private static func stringEnd(_ bytes: ArraySlice<UInt8>, from start: Int) -> Int {
        var index = start + 1
        while index < bytes.endIndex, bytes[index] != UInt8(ascii: "\"") {
            index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return min(index + 1, bytes.endIndex)
    }
}

/// Writes the tokens of a checked JSON text.
private struct JSONPrinter {
    let isIndented: Bool
    private(set) var output: [UInt8] = []
    private var depth = 0
    /// An opening bracket was the last token: nothing stands between it and a closing one.
    private var isOpen = false

    init(isIndented: Bool) {
        self.isIndented = isIndented
    }

    /// A string with its quotes.
    mutating func string(_ bytes: ArraySlice<UInt8>) {
        begin()
        if bytes.allSatisfy(Self.isPlain) {
            output.append(contentsOf: bytes)
            return
        }
        var rest = bytes
        while let first = rest.first {
            let run = rest.prefix { Self.isPlain($0) == Self.isPlain(first) }
            if !Self.isPlain(first) {
                SafeText.append(String(decoding: run, as: UTF8.self), to: &output, style: .json, limit: .max)
            } else {
                output.append(contentsOf: run)
            }
            rest = rest[run.endIndex...]
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7F }

    /// A byte outside a string.
    mutating func token(_ byte: UInt8) {
        switch byte {
        // White space, and what no JSON text has here.
        case ...0x20, 0x7F...: return
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            begin()
            output.append(byte)
            depth += 1
            isOpen = true
        case UInt8(ascii: "}"), UInt8(ascii: "]"):
            depth -= 1
            if !isOpen { newLine() }
            isOpen = false
            output.append(byte)
        case UInt8(ascii: ","):
            output.append(byte)
            newLine()
        case UInt8(ascii: ":"):
            output.append(byte)
            if isIndented { output.append(0x20) }
        default:
            begin()
            output.append(byte)
        }
    }

    private mutating func begin() {
        if isOpen { newLine() }
        isOpen = false
    }

    private mutating func newLine() {
        guard isIndented else { return }
        output.append(UInt8(ascii: "\n"))
        output.append(contentsOf: repeatElement(0x20, count: max(0, depth) * 2))
    }
}
