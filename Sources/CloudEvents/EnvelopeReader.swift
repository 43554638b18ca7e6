/// Reads events in the JSON format from borrowed bytes.
struct EnvelopeReader {
    var scanner: JSONScanner
    let text: ArraySlice<UInt8>
    /// Length of the byte order mark that was cut off, so that offsets in messages count from the true start.
    let markLength: Int
    let limits: JSONLimits
    /// Whether white space around the data belongs to it.
    var keepsSpace = false

    /// A member whose meaning depends on others that may come later.
    struct Payload {
        var kind: JSONKind
        var range: Range<Int>
        var token: JSONStringToken?
    }

    init(_ bytes: Bytes, of text: ArraySlice<UInt8>, markLength: Int, limits: JSONLimits) {
        scanner = JSONScanner(bytes)
        self.text = text
        self.markLength = markLength
        self.limits = limits
    }

    /// Reads a text that is one event.
    mutating func readDocument() throws(InvalidEvent) -> TextEvent {
        let result: Result<CloudEvent, InvalidEvent>
        let range: Range<Int>
        do throws(JSONSyntaxError) {
            scanner.skipWhitespace()
            let start = scanner.position
            result = try readElement(.document)
            range = start..<scanner.position
            try scanner.expectEnd()
        } catch {
            throw describe(error)
        }
        switch result {
        case .success(let event): return TextEvent(event: event, text: slice(range))
        case .failure(let error): throw error
        }
    }

    /// Reads a text that is an array of events.
    mutating func readBatch() -> Result<[BatchEntry], InvalidEvent> {
        do throws(JSONSyntaxError) {
            guard try scanner.take(UInt8(ascii: "[")) else {
                let kind = try scanner.skipValue()
                try scanner.expectEnd()
                let detail = "a batch is a JSON array, this is \(kind.withArticle)"
                return .failure(InvalidEvent(Violation(pointer: "", rule: "BATCH-01", detail: detail)))
            }
            var entries: [BatchEntry] = []
            var isDone = try scanner.take(UInt8(ascii: "]"))
            while !isDone {
                guard entries.count < limits.eventsMax else {
                    let detail = "the batch holds more than \(limits.eventsMax) events"
                    let violation = Violation(pointer: "/\(entries.count)", rule: "BATCH-06", detail: detail)
                    return .failure(InvalidEvent(violation))
                }
                scanner.skipWhitespace()
                let start = scanner.position
                let result = try readElement(.element(entries.count))
                entries.append(BatchEntry(text: slice(start..<scanner.position), result: result))
                isDone = try scanner.take(UInt8(ascii: "]"))
                if !isDone { try scanner.expect(UInt8(ascii: ",")) }
            }
            try scanner.expectEnd()
            return .success(entries)
        } catch {
            return .failure(describe(error))
        }
    }

    func slice(_ range: Range<Int>) -> ArraySlice<UInt8> {
        text[text.startIndex + range.lowerBound..<text.startIndex + range.upperBound]
    }

    private func describe(_ error: JSONSyntaxError) -> InvalidEvent {
        let sentence = JSONSyntaxError(error.reason, at: error.offset + markLength).sentence
        let detail =
            error.reason == .tooDeep
            ? "objects and arrays are \(sentence); \(limits.depthMax) levels are read"
            : "the text is not JSON (RFC 8259): \(sentence)"
        return InvalidEvent(Violation(pointer: "", rule: "JSON-02", detail: detail))
    }

    /// Reads one value that should be an event.
    private mutating func readElement(_ place: Place) throws(JSONSyntaxError) -> Result<CloudEvent, InvalidEvent> {
        guard try scanner.take(UInt8(ascii: "{")) else {
            let kind = try scanner.skipValue(depthMax: limits.depthMax)
            let detail = "an event is a JSON object, this is \(kind.withArticle)"
            return .failure(InvalidEvent(Violation(pointer: place.whole, rule: "JSON-01", detail: detail)))
        }
        var builder = EventBuilder(place: place)
        var data: Payload?
        var base64: Payload?
        var isDone = try scanner.take(UInt8(ascii: "}"))
        while !isDone {
            let name = try scanner.scanName()
            if name.isPlain {
                let bytes = scanner.bytes(name.range)
                try readMember(MemberName(bytes), name, nil, &builder, &data, &base64)
            } else if var text = scanner.text(of: name) {
                try readMember(text.withUTF8 { MemberName($0) }, name, text, &builder, &data, &base64)
            } else {
                builder.report(extension: "", "CE-11", "a member name holds an unpaired surrogate")
                try scanner.skipValue(depthMax: limits.depthMax)
            }
            isDone = try scanner.take(UInt8(ascii: "}"))
            if !isDone { try scanner.expect(UInt8(ascii: ",")) }
        }
        takeData(data, base64, &builder)
        do throws(InvalidEvent) {
            return .success(try builder.finish())
        } catch {
            return .failure(error)
        }
    }

    /// Reads the value of one member.
    ///
    /// `decoded` is the name's text if it differs from its bytes.
    @inline(__always)
    private mutating func readMember(
        _ name: MemberName,
        _ token: JSONStringToken,
        _ decoded: String?,
        _ builder: inout EventBuilder,
        _ data: inout Payload?,
        _ base64: inout Payload?
    ) throws(JSONSyntaxError) {
        switch name {
        case .core(let core):
            try readCore(core, &builder)
        case .data:
            let payload = try keepsSpace ? readPayloadWithSpace() : readPayload()
            if data != nil { builder.reportData("CE-02", "the member 'data' appears more than once") }
            data = payload
        case .dataBase64:
            let payload = try readPayload()
            if base64 != nil {
                let pointer = builder.place.pointer("data_base64")
                builder.reportData("CE-02", "the member 'data_base64' appears more than once", pointer: pointer)
            }
            base64 = payload
        case .other:
            try readExtension(token, decoded, &builder)
        }
    }

    private mutating func readCore(
        _ core: CoreAttribute,
        _ builder: inout EventBuilder
    ) throws(JSONSyntaxError) {
        let isFirst = builder.isFirst(core)
        if try scanner.take(UInt8(ascii: "\"")) {
            let token = try scanner.scanString()
            guard isFirst else { return }
            guard let text = scanner.text(of: token) else {
                return builder.report(core, "CE-11", "the text holds an unpaired surrogate")
            }
            return builder.take(core, text, isPlain: token.isPlain)
        }
        switch try scanner.skipValue(depthMax: limits.depthMax) {
        case .object, .array:
            builder.report(core, "CE-06", "the value is an object or array; attributes are single values")
        case .number, .boolean, .string:
            builder.report(core, "JSON-04", "the value must be a JSON string")
        case .null:
            break
        }
    }

    private mutating func readExtension(
        _ name: JSONStringToken,
        _ decoded: String?,
        _ builder: inout EventBuilder
    ) throws(JSONSyntaxError) {
        let text = decoded ?? String(decoding: scanner.bytes(name.range), as: UTF8.self)
        guard Self.isName(text, scanner.bytes(name.range), isPlain: name.isPlain) else {
            builder.reportBadName(text)
            try scanner.skipValue(depthMax: limits.depthMax)
            return
        }
        let isFirst = builder.isFirst(extension: text)
        let next = try scanner.peek()
        if next == UInt8(ascii: "\"") {
            scanner.position += 1
            let token = try scanner.scanString()
            guard isFirst else { return }
            guard let value = scanner.text(of: token) else {
                return builder.report(extension: text, "CE-11", "the text holds an unpaired surrogate")
            }
            return builder.take(text, text: value, isPlain: token.isPlain)
        }
        if next == UInt8(ascii: "-") || next.isDigit {
            let number = try scanner.scanNumber()
            guard isFirst else { return }
            return takeNumber(number, text, &builder)
        }
        switch try scanner.skipValue(depthMax: limits.depthMax) {
        case .boolean:
            if isFirst { builder.keep(text, .boolean(scanner.base[scanner.position - 2] == UInt8(ascii: "u"))) }
        case .object, .array:
            builder.report(extension: text, "CE-06", "the value is an object or array; attributes are single values")
        case .null:
            if isFirst { builder.skip(extension: text) }
        case .string, .number:
            break
        }
    }

    private static func isName(_ text: String, _ bytes: Bytes, isPlain: Bool) -> Bool {
        if isPlain { return AttributeRules.isName(bytes) }
        var text = text
        return text.withUTF8 { AttributeRules.isName($0) }
    }

    private func takeNumber(_ number: JSONNumberToken, _ name: String, _ builder: inout EventBuilder) {
        let lexeme = String(decoding: scanner.bytes(number.range), as: UTF8.self)
        guard number.isInteger else {
            let detail =
                "\(Quoting.quote(lexeme)) has a fraction or an exponent; only whole numbers are attribute values"
            return builder.report(extension: name, "JSON-05", detail)
        }
        guard let value = Int32(lexeme) else {
            return builder.report(extension: name, "CE-08", "\(Quoting.quote(lexeme)) does not fit into 32 bits")
        }
        builder.keep(name, .integer(value))
    }

    private mutating func readPayloadWithSpace() throws(JSONSyntaxError) -> Payload {
        let start = scanner.position
        var payload = try readPayload()
        scanner.skipWhitespace()
        payload.range = start..<scanner.position
        return payload
    }

    private mutating func readPayload() throws(JSONSyntaxError) -> Payload {
        let isString = try scanner.peek() == UInt8(ascii: "\"")
        let start = scanner.position
        guard isString else {
            let kind = try scanner.skipValue(depthMax: limits.depthMax)
            return Payload(kind: kind, range: start..<scanner.position)
        }
        scanner.position += 1
        let token = try scanner.scanString()
        return Payload(kind: .string, range: start..<scanner.position, token: token)
    }
}

extension EnvelopeReader {
    /// Makes the data of the event from `data` or `data_base64`, now that the content type is known.
    private func takeData(_ data: Payload?, _ base64: Payload?, _ builder: inout EventBuilder) {
        if let base64, base64.kind != .null {
            if data != nil {
                return builder.reportData("JSON-08", "'data' and 'data_base64' exclude each other")
            }
            return takeBase64(base64, &builder)
        }
        guard let data else { return }
        let (isGiven, type) = builder.contentType
        if isGiven, type == nil { return }
        guard let type, !type.isJSON else { return builder.keep(.json(slice(data.range))) }
        guard let token = data.token else {
            if data.kind == .null { return }
            let detail = "the content type is not JSON, so 'data' must be a string"
            return builder.reportData("JSON-14", detail)
        }
        guard let content = scanner.text(of: token) else {
            return builder.reportData("JSON-14", "the text holds an unpaired surrogate, so no bytes correspond to it")
        }
        if !content.utf8.isEmpty { builder.keep(.text(content)) }
    }

    private func takeBase64(_ payload: Payload, _ builder: inout EventBuilder) {
        let pointer = builder.place.pointer("data_base64")
        guard let token = payload.token else {
            return builder.reportData("JSON-09", "'data_base64' must be a string", pointer: pointer)
        }
        let decoded: [UInt8]?
        if token.hasEscapes {
            var text = scanner.text(of: token) ?? "\u{FFFD}"
            decoded = text.withUTF8 { Base64.decode($0) }
        } else {
            decoded = Base64.decode(scanner.bytes(token.range))
        }
        guard let decoded else {
            let detail = "the text is not base64 with the standard alphabet and padding (RFC 4648 section 4)"
            return builder.reportData("JSON-09", detail, pointer: pointer)
        }
        builder.takeBytes(decoded[...], pointer: pointer)
    }
}

extension JSONKind {
    /// The kind as part of a sentence.
    package var withArticle: String {
        switch self {
        case .object: "an object"
        case .array: "an array"
        case .string: "a string"
        case .number: "a number"
        case .boolean: "a boolean"
        case .null: "null"
        }
    }
}
