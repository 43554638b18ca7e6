package import CloudEvents

/// A small JSON text as a tree: for definitions that people and programs send, never for events.
///
/// Members keep their order and their duplicates, numbers their digits; what is wrong with them is the caller's to say.
package enum JSONTree: Sendable {
    case object([JSONTreeMember])
    case array([JSONTree])
    /// A string with escapes undone; `nil` if a lone surrogate makes that impossible.
    case string(String?)
    /// A number as it stands in the text.
    case number(String)
    case boolean(Bool)
    case null

    /// Reads exactly one value; a byte order mark in front is ignored.
    ///
    /// - Throws: ``JSONSyntaxError``; nesting beyond `depthMax` is one.
    package static func parse(
        _ text: ArraySlice<UInt8>,
        depthMax: Int = JSONScanner.depthMax
    ) throws(JSONSyntaxError) -> JSONTree {
        let text = JSONScanner.withoutByteOrderMark(text)
        return try text.withUnsafeBufferPointer { (bytes) throws(JSONSyntaxError) in
            var reader = JSONTreeReader(scanner: JSONScanner(bytes), bytes: bytes)
            let tree = try reader.value(depth: depthMax)
            try reader.scanner.expectEnd()
            return tree
        }
    }

    /// What the value is, as a word of a sentence.
    package var kindName: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "a number"
        case .boolean: "a boolean"
        case .null: "null"
        }
    }

    /// The text of a string; `nil` for any other kind, and for a string that is no Unicode text.
    package var text: String? {
        if case .string(let text) = self { text } else { nil }
    }
}

/// A member of a JSON object.
package struct JSONTreeMember: Sendable {
    /// The name with escapes undone; `nil` if it is no Unicode text.
    package let name: String?
    package let value: JSONTree
}

/// Builds a ``JSONTree``; recursion is bounded by the depth that is left.
private struct JSONTreeReader {
    var scanner: JSONScanner
    let bytes: UnsafeBufferPointer<UInt8>

    mutating func value(depth: Int) throws(JSONSyntaxError) -> JSONTree {
        switch try scanner.peek() {
        case UInt8(ascii: "{"):
            return .object(try members(depth: depth))
        case UInt8(ascii: "["):
            return .array(try elements(depth: depth))
        case UInt8(ascii: "\""):
            scanner.position += 1
            return .string(scanner.text(of: try scanner.scanString()))
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let token = try scanner.scanNumber()
            return .number(String(decoding: bytes[token.range], as: UTF8.self))
        case let first:
            return try scanner.scanLiteral() == .null ? .null : .boolean(first == UInt8(ascii: "t"))
        }
    }

    private mutating func open(depth: Int) throws(JSONSyntaxError) {
        guard depth > 0 else { throw JSONSyntaxError(.tooDeep, at: scanner.position) }
        scanner.position += 1
    }

    private mutating func members(depth: Int) throws(JSONSyntaxError) -> [JSONTreeMember] {
        try open(depth: depth)
        var members: [JSONTreeMember] = []
        var isDone = try scanner.take(UInt8(ascii: "}"))
        while !isDone {
            let name = scanner.text(of: try scanner.scanName())
            members.append(JSONTreeMember(name: name, value: try value(depth: depth - 1)))
            isDone = try scanner.take(UInt8(ascii: "}"))
            if !isDone { try scanner.expect(UInt8(ascii: ",")) }
        }
        return members
    }

    private mutating func elements(depth: Int) throws(JSONSyntaxError) -> [JSONTree] {
        try open(depth: depth)
        var elements: [JSONTree] = []
        var isDone = try scanner.take(UInt8(ascii: "]"))
        while !isDone {
            elements.append(try value(depth: depth - 1))
            isDone = try scanner.take(UInt8(ascii: "]"))
            if !isDone { try scanner.expect(UInt8(ascii: ",")) }
        }
        return elements
    }
}
