import JetStream

// Values that are part of the design: each is valid, and a test reads it, so that a slip fails at the first start.

extension StreamName {
    static func literal(_ text: String) -> StreamName {
        guard let name = StreamName(text) else { preconditionFailure("\(text) is no stream name") }
        return name
    }
}

extension SubjectPrefix {
    static func literal(_ text: String) -> SubjectPrefix {
        guard let prefix = SubjectPrefix(text) else { preconditionFailure("\(text) is no subject prefix") }
        return prefix
    }
}

extension HeaderValue {
    static func literal(_ text: String) -> HeaderValue {
        guard let value = HeaderValue(text) else { preconditionFailure("\(text) is no header value") }
        return value
    }
}
