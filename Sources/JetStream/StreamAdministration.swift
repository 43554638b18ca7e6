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
        try await streamInfo(name, payload: [], timeout)
    }

    /// The same with more of the fill: the sequences of missing messages, and the messages of each subject that `subjects`
    /// matches; servers answer at most 100,000 subjects.
    package func streamInfo(
        _ name: StreamName,
        deleted: Bool,
        subjects: SubjectFilter? = nil,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> StreamInfo? {
        var text = "{\"deleted_details\":\(deleted)"
        if let subjects { text += ",\"subjects_filter\":\"\(subjects.text)\"" }
        return try await streamInfo(name, payload: Array("\(text)}".utf8), timeout)
    }

    private func streamInfo(
        _ name: StreamName,
        payload: [UInt8],
        _ timeout: Duration
    ) async throws(JetStreamError) -> StreamInfo? {
        let answer = try await request(.streamInfo(name), payload: payload, timeout: timeout)
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

    /// Reads the first message at or after a sequence whose subject the filter matches, or nil if the stream has none.
    package func nextMessage(
        in stream: StreamName,
        from sequence: UInt64,
        subject: SubjectFilter,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> StoredMessage? {
        try await message(in: stream, "{\"seq\":\(sequence),\"next_by_subj\":\"\(subject.text)\"}", timeout)
    }

    /// Reads the newest message whose subject the filter matches, or nil if the stream has none.
    ///
    /// nats-server 2.9 also finds none when the newest one of the subject was deleted.
    package func lastMessage(
        in stream: StreamName,
        subject: SubjectFilter,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> StoredMessage? {
        try await message(in: stream, "{\"last_by_subj\":\"\(subject.text)\"}", timeout)
    }

    /// Deletes one message, without overwriting its bytes; false if the stream did not have it.
    ///
    /// - Throws: ``JetStreamError``; `.api` 10057 where the stream's `deny_delete` forbids it.
    package func deleteMessage(
        in stream: StreamName,
        sequence: UInt64,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> Bool {
        let payload = Array("{\"seq\":\(sequence),\"no_erase\":true}".utf8)
        let answer = try await request(.deleteMessage(in: stream), payload: payload, timeout: timeout)
        do {
            return try APIResponse.success(answer)
        } catch {
            if try await message(in: stream, sequence: sequence, timeout: timeout) == nil { return false }
            throw error
        }
    }

    /// Removes all messages of a subject.
    ///
    /// Not for streams with consumers: nats-server 2.9 lets them skip all that they have not delivered yet, of any subject.
    /// - Returns: how many those were.
    @discardableResult
    package func purge(
        _ subject: SubjectFilter,
        of stream: StreamName,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> UInt64 {
        let payload = Array("{\"filter\":\"\(subject.text)\"}".utf8)
        return try APIResponse.purged(try await request(.purge(stream), payload: payload, timeout: timeout))
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
        text += subjects.map { "\"\(JSONText.escaped($0))\"" }.joined(separator: ",")
        text += "],\"description\":\"\(JSONText.escaped(description))\",\"retention\":\"\(retention.rawValue)\""
        text += ",\"storage\":\"\(storage.rawValue)\",\"discard\":\"\(discard.rawValue)\",\"num_replicas\":\(replicas)"
        text += ",\"max_msgs\":\(maxMessages),\"max_bytes\":\(maxBytes),\"max_age\":\(maxAge.nanoseconds)"
        text += ",\"max_msg_size\":\(maxMessageSize),\"max_msgs_per_subject\":\(maxMessagesPerSubject)"
        text += ",\"max_consumers\":-1,\"duplicate_window\":\(duplicateWindow.nanoseconds)"
        text += ",\"deny_delete\":\(denyDelete),\"deny_purge\":\(denyPurge),\"allow_rollup_hdrs\":\(allowRollup)"
        text += ",\"sealed\":\(sealed),\"no_ack\":\(noAcknowledgement)}"
        return Array(text.utf8)
    }
}
