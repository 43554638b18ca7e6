import CloudEvents

/// A JSON value as it was written: members keep their order, numbers their lexeme.
///
/// For small texts at the tool's edge (the configuration file, problem details, a server's greeting). A member that
/// occurs twice is an error here: in a configuration file it is always a mistake.
package indirect enum JSONText: Sendable, Equatable {
    case object([Member])
    case array([JSONText])
    case string(String)
    case number(String)
    case bool(Bool)
    case null

    /// A named value of an object.
    package struct Member: Sendable, Equatable {
        package let name: String
        package let value: JSONText
    }

    /// Reads one JSON text (RFC 8259): strict, at most 64 levels deep, nothing after the value but white space.
    ///
    /// - Throws: ``JSONTextError`` with the place of the first fault.
    package init(parsing bytes: some Sequence<UInt8>) throws(JSONTextError) {
        let text = JSONScanner.withoutByteOrderMark(Array(bytes)[...])
        let result = text.withUnsafeBufferPointer { bytes in
            var builder = JSONTreeBuilder(bytes)
            return Result { () throws(JSONTextError) in try builder.readDocument() }
        }
        self = try result.get()
    }

    /// The value of a member; `nil` when this is no object or has no such member.
    package subscript(name: String) -> JSONText? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    /// The text of a string value.
    package var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// A number that is a whole one and fits.
    package var integer: Int? {
        guard case .number(let lexeme) = self else { return nil }
        return Int(lexeme)
    }

    /// The elements of an array.
    package var elements: [JSONText]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// The value of `true` and `false`.
    package var bool: Bool? {
        guard case .bool(let value) = self else { return nil }
        return value
    }
}

/// Why a text is not JSON, and where.
package struct JSONTextError: Error, Equatable, CustomStringConvertible {
    package let reason: String
    /// Zero-based byte offset of the fault.
    package let offset: Int
    /// One-based line and column (in bytes) of the fault.
    package let line: Int
    package let column: Int

    package var description: String { "\(reason) (line \(line), column \(column))" }
}

/// Builds the tree from the tokens of the CloudEvents library's scanner; recursive, with a bound on its depth.
private struct JSONTreeBuilder {
    let bytes: UnsafeBufferPointer<UInt8>
    var scanner: JSONScanner

    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        scanner = JSONScanner(bytes)
    }

    mutating func readDocument() throws(JSONTextError) -> JSONText {
        let value = try readValue(depth: 1)
        scanner.skipWhitespace()
        guard scanner.position == scanner.end else { throw fault("there is more after the value") }
        return value
    }

    private mutating func readValue(depth: Int) throws(JSONTextError) -> JSONText {
        guard depth <= JSONScanner.depthMax else {
            throw fault("nested more than \(JSONScanner.depthMax) levels deep")
        }
        do throws(JSONSyntaxError) {
            switch try scanner.peek() {
            case UInt8(ascii: "{"), UInt8(ascii: "["): break
            case UInt8(ascii: "\""): return .string(try readString())
            case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                let range = try scanner.scanNumber().range
                return .number(String(decoding: bytes[range], as: UTF8.self))
            case let first:
                return try scanner.scanLiteral() == .null ? .null : .bool(first == UInt8(ascii: "t"))
            }
        } catch {
            throw fault(error.reason.rawValue, at: error.offset)
        }
        return try bytes[scanner.position] == UInt8(ascii: "{") ? readObject(depth: depth) : readArray(depth: depth)
    }

    private mutating func readObject(depth: Int) throws(JSONTextError) -> JSONText {
        scanner.position += 1
        var members: [JSONText.Member] = []
        var names: Set<[UInt8]> = []
        if try next() == UInt8(ascii: "}") {
            scanner.position += 1
            return .object([])
        }
        while true {
            guard try next() == UInt8(ascii: "\"") else { throw fault("expected a member name in double quotes") }
            let start = scanner.position
            let name: String
            do throws(JSONSyntaxError) {
                name = try readString()
            } catch {
                throw fault(error.reason.rawValue, at: error.offset)
            }
            guard names.insert(Array(name.utf8)).inserted else {
                throw fault("the member \(SafeText.quoted(name)) occurs twice", at: start)
            }
            guard try next() == UInt8(ascii: ":") else { throw fault("expected a colon after the member name") }
            scanner.position += 1
            members.append(JSONText.Member(name: name, value: try readValue(depth: depth + 1)))
            if try readSeparator(closing: UInt8(ascii: "}")) { return .object(members) }
        }
    }

    private mutating func readArray(depth: Int) throws(JSONTextError) -> JSONText {
        scanner.position += 1
        var elements: [JSONText] = []
        if try next() == UInt8(ascii: "]") {
            scanner.position += 1
            return .array([])
        }
        while true {
            elements.append(try readValue(depth: depth + 1))
            if try readSeparator(closing: UInt8(ascii: "]")) { return .array(elements) }
        }
    }

    /// Reads a comma or the closing bracket; says whether it was the bracket.
    private mutating func readSeparator(closing: UInt8) throws(JSONTextError) -> Bool {
        let byte = try next()
        guard byte == closing || byte == UInt8(ascii: ",") else {
            throw fault("expected a comma or \(String(decoding: [closing], as: UTF8.self))")
        }
        scanner.position += 1
        return byte == closing
    }

    private mutating func readString() throws(JSONSyntaxError) -> String {
        let start = scanner.position
        scanner.position += 1
        guard let text = scanner.text(of: try scanner.scanString()) else {
            throw JSONSyntaxError(.badEscape, at: start)
        }
        return text
    }

    private mutating func next() throws(JSONTextError) -> UInt8 {
        scanner.skipWhitespace()
        guard scanner.position < scanner.end else { throw fault("the text ends too early") }
        return bytes[scanner.position]
    }

    private func fault(_ reason: String, at offset: Int? = nil) -> JSONTextError {
        let offset = offset ?? scanner.position
        let before = bytes[..<min(offset, bytes.count)]
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        return JSONTextError(reason: reason, offset: offset, line: line, column: before.count - start + 1)
    }
}
