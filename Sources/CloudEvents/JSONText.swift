/// Ways to look at a whole JSON text without building a tree.
extension JSONScanner {
    /// Checks that the bytes are one JSON value and gives them without the white space around it.
    ///
    /// Numbers keep any size and strings any escapes; syntax, UTF-8 and nesting are checked. No byte order mark.
    package static func check(
        _ text: ArraySlice<UInt8>,
        depthMax: Int = JSONScanner.depthMax
    ) -> Result<ArraySlice<UInt8>, JSONSyntaxError> {
        text.withUnsafeBufferPointer { bytes in
            var scanner = JSONScanner(bytes)
            do throws(JSONSyntaxError) {
                scanner.skipWhitespace()
                let start = scanner.position
                try scanner.skipValue(depthMax: depthMax)
                let end = scanner.position
                try scanner.expectEnd()
                return .success(text[text.startIndex + start..<text.startIndex + end])
            } catch {
                return .failure(error)
            }
        }
    }

    /// The bytes without a byte order mark in front, which RFC 8259 section 8.1 lets readers ignore.
    package static func withoutByteOrderMark(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        text.first == 0xEF && text.starts(with: [0xEF, 0xBB, 0xBF]) ? text.dropFirst(3) : text
    }
}

/// One member of a JSON object, its value not looked into.
package struct JSONMember: Sendable {
    /// The name with escapes undone.
    package let name: String
    /// What the value is.
    package let kind: JSONKind
    /// The bytes of the value as they stand in the text, without white space around them.
    package let raw: ArraySlice<UInt8>
    /// The text of a string value; `nil` for other kinds and for strings that hold a lone surrogate.
    package let string: String?
}

/// Why a text could not be taken apart as an object.
package enum JSONObjectError: Error, Sendable, Hashable {
    /// The text is not JSON.
    case syntax(JSONSyntaxError)
    /// The text is JSON, but not an object.
    case notAnObject(JSONKind)
    /// A member name appears twice; names are compared with escapes undone.
    case duplicate(name: String)
    /// A member name holds a lone surrogate, so no text corresponds to it.
    case badName
}

/// Takes small objects apart, such as request bodies with a handful of members.
package enum JSONObject {
    /// The members of an object in order; a byte order mark in front is ignored.
    ///
    /// Time is linear in the text and at worst quadratic in the number of names up to `membersMax`.
    ///
    /// - Throws: ``JSONObjectError``; more than `membersMax` members count as a syntax error `tooDeep`.
    package static func members(
        of text: ArraySlice<UInt8>,
        membersMax: Int = 64
    ) throws(JSONObjectError) -> [JSONMember] {
        let text = JSONScanner.withoutByteOrderMark(text)
        let result: Result<[JSONMember], JSONObjectError> = text.withUnsafeBufferPointer { bytes in
            var scanner = JSONScanner(bytes)
            do throws(JSONSyntaxError) {
                return try read(&scanner, text, membersMax)
            } catch {
                return .failure(.syntax(error))
            }
        }
        return try result.get()
    }

    private static func read(
        _ scanner: inout JSONScanner,
        _ text: ArraySlice<UInt8>,
        _ membersMax: Int
    ) throws(JSONSyntaxError) -> Result<[JSONMember], JSONObjectError> {
        guard try scanner.take(UInt8(ascii: "{")) else {
            let kind = try scanner.skipValue()
            try scanner.expectEnd()
            return .failure(.notAnObject(kind))
        }
        var members: [JSONMember] = []
        var failure: JSONObjectError?
        var isDone = try scanner.take(UInt8(ascii: "}"))
        while !isDone {
            guard members.count < membersMax else { throw JSONSyntaxError(.tooDeep, at: scanner.position) }
            switch try member(&scanner, text) {
            case nil: failure = failure ?? .badName
            case let member?:
                if members.contains(where: { sameBytes($0.name, member.name) }) {
                    failure = failure ?? .duplicate(name: member.name)
                }
                members.append(member)
            }
            isDone = try scanner.take(UInt8(ascii: "}"))
            if !isDone { try scanner.expect(UInt8(ascii: ",")) }
        }
        try scanner.expectEnd()
        if let failure { return .failure(failure) }
        return .success(members)
    }

    private static func member(
        _ scanner: inout JSONScanner,
        _ text: ArraySlice<UInt8>
    ) throws(JSONSyntaxError) -> JSONMember? {
        let token = try scanner.scanName()
        let name = scanner.text(of: token)
        var string: String?
        let kind: JSONKind
        let isString = try scanner.peek() == UInt8(ascii: "\"")
        let start = scanner.position
        if isString {
            scanner.position += 1
            let token = try scanner.scanString()
            string = scanner.text(of: token)
            kind = .string
        } else {
            kind = try scanner.skipValue()
        }
        let raw = text[text.startIndex + start..<text.startIndex + scanner.position]
        return name.map { JSONMember(name: $0, kind: kind, raw: raw, string: string) }
    }
}
