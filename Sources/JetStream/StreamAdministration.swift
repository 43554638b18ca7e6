/// Administration by JSON requests on `$JS.API.>`: cnats 3.4.1 lacks newer fields and calls (C-19).
extension JetStreamClient {
    /// What the account uses and may use.
    ///
    /// - Throws: ``JetStreamError``; `.noResponders` or `.api` 10039/10076 when JetStream is off.
    public func accountInfo(timeout: Duration = .seconds(5)) async throws(JetStreamError) -> AccountInfo {
        try APIResponse.accountInfo(await request(.accountInfo, payload: [], timeout: timeout))
    }

    /// A stream's settings and fill, or nil if there is no such stream.
    public func streamInfo(
        _ name: StreamName,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> StreamInfo? {
        let answer = try await request(.streamInfo(name), payload: [], timeout: timeout)
        do {
            return try APIResponse.streamInfo(answer, name)
        } catch {
            if error.errorCode == 10059 { return nil }
            throw error
        }
    }

    /// Creates a stream; one with the same settings that exists already is left as it is.
    ///
    /// - Throws: ``JetStreamError``; `.api` 10058 if it exists with other settings.
    public func createStream(
        _ configuration: StreamConfiguration,
        timeout: Duration = .seconds(10)
    ) async throws(JetStreamError) -> StreamInfo {
        let name = configuration.name
        let answer = try await request(.createStream(name), payload: configuration.json, timeout: timeout)
        return try APIResponse.streamInfo(answer, name)
    }

    /// Changes a stream's settings, as far as the server lets them be changed.
    public func updateStream(
        _ configuration: StreamConfiguration,
        timeout: Duration = .seconds(10)
    ) async throws(JetStreamError) -> StreamInfo {
        let name = configuration.name
        let answer = try await request(.updateStream(name), payload: configuration.json, timeout: timeout)
        return try APIResponse.streamInfo(answer, name)
    }

    /// Reads one message by its sequence, or nil if the stream does not have it.
    public func message(
        in stream: StreamName,
        sequence: UInt64,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> StoredMessage? {
        try await message(in: stream, "{\"seq\":\(sequence)}", timeout)
    }

    /// Reads the first message at or after a sequence, or nil if the stream has none there.
    public func nextMessage(
        in stream: StreamName,
        from sequence: UInt64,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> StoredMessage? {
        try await message(in: stream, "{\"seq\":\(sequence),\"next_by_subj\":\">\"}", timeout)
    }

    private func message(
        in stream: StreamName,
        _ request: String,
        _ timeout: Duration
    ) async throws(JetStreamError) -> StoredMessage? {
        let answer = try await self.request(.message(in: stream), payload: Array(request.utf8), timeout: timeout)
        do {
            return try APIResponse.message(answer)
        } catch {
            if error.errorCode == 10037 { return nil }
            throw error
        }
    }
}

extension StreamConfiguration {
    /// The body of a create or update request.
    var json: [UInt8] {
        var text = "{\"name\":\"\(name.text)\",\"subjects\":["
        text += subjects.map { "\"\(Self.escaped($0))\"" }.joined(separator: ",")
        text += "],\"description\":\"\(Self.escaped(description))\",\"retention\":\"\(retention.rawValue)\""
        text += ",\"storage\":\"\(storage.rawValue)\",\"discard\":\"\(discard.rawValue)\",\"num_replicas\":\(replicas)"
        text += ",\"max_msgs\":\(maxMessages),\"max_bytes\":\(maxBytes),\"max_age\":\(maxAge.nanoseconds)"
        text += ",\"max_msg_size\":\(maxMessageSize),\"max_msgs_per_subject\":\(maxMessagesPerSubject)"
        text += ",\"max_consumers\":-1,\"duplicate_window\":\(duplicateWindow.nanoseconds)"
        text += ",\"deny_delete\":\(denyDelete),\"deny_purge\":\(denyPurge),\"allow_rollup_hdrs\":\(allowRollup)"
        text += ",\"sealed\":\(sealed),\"no_ack\":\(noAcknowledgement)}"
        return Array(text.utf8)
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case _ where scalar.value < 0x20: result += " "
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
