/// Reads the answers of JetStream's API.
enum APIResponse {
    static func streamInfo(_ bytes: [UInt8], _ name: StreamName) throws(JetStreamError) -> StreamInfo {
        var configuration = StreamConfiguration(name: name, subjects: [])
        var state = StreamState()
        var created = ""
        var serverTime = ""
        var seen = false
        try read(bytes) { reader, member in
            switch member {
            case "config":
                seen = true
                return configuration.readMembers(&reader)
            case "state": return state.readMembers(&reader)
            case "created": return reader.read(into: &created)
            case "ts": return reader.read(into: &serverTime)
            default: return reader.skipValue()
            }
        }
        guard seen else { throw .badResponse("no stream configuration in it") }
        return StreamInfo(configuration: configuration, state: state, created: created, serverTime: serverTime)
    }

    static func accountInfo(_ bytes: [UInt8]) throws(JetStreamError) -> AccountInfo {
        var info = AccountInfo()
        try read(bytes) { reader, member in
            switch member {
            case "memory": reader.read(into: &info.memoryBytes)
            case "storage": reader.read(into: &info.storageBytes)
            case "streams": reader.read(into: &info.streams)
            case "limits":
                reader.readObject { reader, member in
                    switch member {
                    case "max_memory": reader.read(into: &info.memoryBytesMax)
                    case "max_storage": reader.read(into: &info.storageBytesMax)
                    default: reader.skipValue()
                    }
                }
            default: reader.skipValue()
            }
        }
        return info
    }

    /// How many messages a purge took.
    static func purged(_ bytes: [UInt8]) throws(JetStreamError) -> UInt64 {
        var count: UInt64 = 0
        try read(bytes) { reader, member in
            member == "purged" ? reader.read(into: &count) : reader.skipValue()
        }
        return count
    }

    static func message(_ bytes: [UInt8]) throws(JetStreamError) -> StoredMessage {
        var subject = ""
        var sequence: UInt64 = 0
        var time = ""
        var headers: [UInt8] = []
        var payload: [UInt8] = []
        try read(bytes) { reader, member in
            guard member == "message" else { return reader.skipValue() }
            return reader.readObject { reader, member in
                switch member {
                case "subject": reader.read(into: &subject)
                case "seq": reader.read(into: &sequence)
                case "time": reader.read(into: &time)
                case "hdrs": reader.readBase64(into: &headers)
                case "data": reader.readBase64(into: &payload)
                default: reader.skipValue()
                }
            }
        }
        guard sequence > 0 else { throw .badResponse("no message in it") }
        return StoredMessage(
            subject: subject,
            sequence: sequence,
            headers: HeaderBlock.lines(headers),
            payload: payload,
            time: time
        )
    }

    /// Reads the members of an answer; its error, if it has one, is thrown.
    static func read(
        _ bytes: [UInt8],
        _ member: (inout JSONReader, String) -> Bool
    ) throws(JetStreamError) {
        var failure: JetStreamError?
        let complete = bytes.withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            let complete = reader.readObject { reader, name in
                guard name == "error" else { return member(&reader, name) }
                failure = readError(&reader)
                return failure != nil
            }
            return complete && reader.isAtEnd
        }
        guard complete else { throw .badResponse("not the JSON expected") }
        if let failure { throw failure }
    }

    private static func readError(_ reader: inout JSONReader) -> JetStreamError? {
        var code = 0
        var errorCode = 0
        var description = ""
        let complete = reader.readObject { reader, member in
            switch member {
            case "code": reader.read(into: &code)
            case "err_code": reader.read(into: &errorCode)
            case "description": reader.read(into: &description)
            default: reader.skipValue()
            }
        }
        return complete ? .api(code: code, errorCode: errorCode, description: description) : nil
    }
}

extension StreamState {
    fileprivate mutating func readMembers(_ reader: inout JSONReader) -> Bool {
        reader.readObject { reader, member in
            switch member {
            case "messages": reader.read(into: &messages)
            case "bytes": reader.read(into: &bytes)
            case "first_seq": reader.read(into: &firstSequence)
            case "last_seq": reader.read(into: &lastSequence)
            case "last_ts": reader.read(into: &lastTime)
            case "num_deleted": reader.read(into: &deletedCount)
            case "num_subjects": reader.read(into: &subjectCount)
            case "consumer_count": reader.read(into: &consumerCount)
            case "deleted": reader.readNull() || readDeleted(&reader)
            case "subjects": reader.readNull() || readSubjects(&reader)
            default: reader.skipValue()
            }
        }
    }

    private mutating func readDeleted(_ reader: inout JSONReader) -> Bool {
        reader.readArray { reader in
            guard let sequence = reader.readUInt64() else { return false }
            deleted.append(sequence)
            return true
        }
    }

    private mutating func readSubjects(_ reader: inout JSONReader) -> Bool {
        reader.readObject { reader, subject in
            guard let count = reader.readUInt64() else { return false }
            subjects[subject] = count
            return true
        }
    }
}

extension StreamConfiguration {
    fileprivate mutating func readMembers(_ reader: inout JSONReader) -> Bool {
        reader.readObject { reader, member in readMember(member, &reader) }
    }

    private mutating func readMember(_ member: String, _ reader: inout JSONReader) -> Bool {
        switch member {
        case "subjects":
            subjects = []
            return reader.readArray { reader in
                guard let subject = reader.readString() else { return false }
                subjects.append(subject)
                return true
            }
        case "description": return reader.read(into: &description)
        case "retention": return reader.read(into: &retention)
        case "storage": return reader.read(into: &storage)
        case "discard": return reader.read(into: &discard)
        case "num_replicas": return reader.read(into: &replicas)
        case "max_msgs": return reader.read(into: &maxMessages)
        case "max_bytes": return reader.read(into: &maxBytes)
        case "max_age": return reader.read(into: &maxAge)
        case "max_msg_size": return reader.read(into: &maxMessageSize)
        case "max_msgs_per_subject": return reader.read(into: &maxMessagesPerSubject)
        case "duplicate_window": return reader.read(into: &duplicateWindow)
        case "deny_delete": return reader.read(into: &denyDelete)
        case "deny_purge": return reader.read(into: &denyPurge)
        case "allow_rollup_hdrs": return reader.read(into: &allowRollup)
        case "sealed": return reader.read(into: &sealed)
        case "no_ack": return reader.read(into: &noAcknowledgement)
        case "mirror", "sources", "republish", "subject_transform":
            if reader.readNull() { return true }
            otherFeatures.append(member)
            return reader.skipValue()
        default: return reader.skipValue()
        }
    }
}

extension JSONReader {
    private mutating func store<Value>(_ value: Value?, _ target: inout Value) -> Bool {
        guard let value else { return false }
        target = value
        return true
    }

    mutating func read(into target: inout String) -> Bool { store(readString(), &target) }
    mutating func read(into target: inout UInt64) -> Bool { store(readUInt64(), &target) }
    mutating func read(into target: inout Int64) -> Bool { store(readInt64(), &target) }
    mutating func read(into target: inout Int) -> Bool { store(readInt64().map(Int.init), &target) }
    mutating func read(into target: inout Bool) -> Bool { store(readBool(), &target) }
    mutating func read(into target: inout Duration) -> Bool {
        store(readInt64().map(Duration.nanoseconds), &target)
    }

    mutating func read<Value: RawRepresentable>(into target: inout Value) -> Bool
    where Value.RawValue == String {
        store(readString().flatMap(Value.init(rawValue:)), &target)
    }

    fileprivate mutating func readBase64(into target: inout [UInt8]) -> Bool {
        store(readString().flatMap(decodeBase64), &target)
    }
}

/// Standard base64 with padding, as Go writes it; nil for anything else.
func decodeBase64(_ text: String) -> [UInt8]? {
    var result: [UInt8] = []
    result.reserveCapacity(text.utf8.count / 4 * 3)
    var bits: UInt32 = 0
    var digits = 0
    var padding = 0
    for byte in text.utf8 {
        if byte == UInt8(ascii: "=") {
            padding += 1
            continue
        }
        guard padding == 0, let value = base64Value(byte) else { return nil }
        bits = bits << 6 | value
        digits += 1
        if digits % 4 == 0 {
            result += [UInt8(bits >> 16 & 0xFF), UInt8(bits >> 8 & 0xFF), UInt8(bits & 0xFF)]
            bits = 0
        }
    }
    switch (digits % 4, padding) {
    case (0, 0): break
    case (2, 2): result.append(UInt8(bits >> 4 & 0xFF))
    case (3, 1): result += [UInt8(bits >> 10 & 0xFF), UInt8(bits >> 2 & 0xFF)]
    default: return nil
    }
    return result
}

private func base64Value(_ byte: UInt8) -> UInt32? {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte) - 65
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte) - 71
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte) + 4
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
}
