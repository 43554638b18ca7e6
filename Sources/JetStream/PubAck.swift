/// What a JetStream server answered to a publish, read strictly.
///
/// The answer is `{"stream":…,"seq":…,"duplicate":…,"domain":…}` or `{"error":{"code":…,"err_code":…,"description":…}}`;
/// unknown members are skipped. Anything cut short or malformed is unreadable, never a success.
package enum PubAck: Equatable {
    case stored(streamMatches: Bool, sequence: UInt64, duplicate: Bool)
    case error(code: Int, errorCode: Int, description: String)
    case unreadable

    /// Reads an answer; `expected` is the stream that must have taken the message.
    package init(_ bytes: UnsafeRawBufferPointer, expected: StreamName) {
        var reader = JSONReader(bytes)
        var streamMatches: Bool?
        var sequence: UInt64?
        var duplicate = false
        var failure: PubAck?
        let complete = reader.readObject { reader, name in
            switch name {
            case "stream":
                guard let matches = reader.readString(equalTo: expected.text), streamMatches == nil else {
                    return false
                }
                streamMatches = matches
            case "seq":
                guard let value = reader.readUInt64(), sequence == nil else { return false }
                sequence = value
            case "duplicate":
                guard let value = reader.readBool() else { return false }
                duplicate = value
            case "error":
                guard let error = Self.readError(&reader) else { return false }
                failure = error
            default:
                return reader.skipValue()
            }
            return true
        }
        guard complete, reader.isAtEnd else {
            self = .unreadable
            return
        }
        if let failure {
            self = failure
        } else if let streamMatches, let sequence {
            self = .stored(streamMatches: streamMatches, sequence: sequence, duplicate: duplicate)
        } else {
            self = .unreadable
        }
    }

    private static func readError(_ reader: inout JSONReader) -> PubAck? {
        var code = 0
        var errorCode = 0
        var description = ""
        let complete = reader.readObject { reader, name in
            switch name {
            case "code":
                guard let value = reader.readUInt64() else { return false }
                code = Int(clamping: value)
            case "err_code":
                guard let value = reader.readUInt64() else { return false }
                errorCode = Int(clamping: value)
            case "description":
                guard let text = reader.readString() else { return false }
                description = text
            default:
                return reader.skipValue()
            }
            return true
        }
        return complete ? .error(code: code, errorCode: errorCode, description: description) : nil
    }
}

extension Rejection {
    /// What an error answer to a publish means; the numbers are JetStream's `err_code`.
    package init(code: Int, errorCode: Int, description: String) {
        let kind: Kind
        switch errorCode {
        case 10002, 10023, 10028, 10047: kind = .storeFull
        case 10077: kind = Self.saysFull(description) ? .storeFull : .unavailable
        case 10008, 10039, 10076, 10118, 10167: kind = .unavailable
        case 10054: kind = .tooLarge
        case 10097: kind = .headersTooLarge
        default: kind = code == 503 ? .unavailable : .misconfigured
        }
        self.init(kind: kind, code: errorCode, description: description)
    }

    /// 10077 is "store failed" with the cause in words only.
    private static func saysFull(_ description: String) -> Bool {
        ["maximum messages", "maximum bytes", "no space", "resource"].contains { description.contains($0) }
    }
}
