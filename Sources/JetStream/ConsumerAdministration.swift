/// Consumers, administered by JSON requests on `$JS.API.>` (C-19).
extension JetStreamClient {
    /// Creates a consumer; one with the same settings that exists already is left as it is.
    ///
    /// An existing consumer with other settings is never changed, whatever the server's version would do (N-05).
    /// - Throws: ``JetStreamError``; `.api` 10148 if it exists with other settings, 10059 if there is no such stream.
    package func createConsumer(
        _ configuration: ConsumerConfiguration,
        in stream: StreamName,
        timeout: Duration = .seconds(10)
    ) async throws(JetStreamError) -> ConsumerInfo {
        if let name = configuration.name, let found = try await consumerInfo(name, in: stream, timeout: timeout) {
            return try Self.checked(found, configuration)
        }
        let created = try await put(configuration, in: stream, action: "create", timeout)
        return try Self.checked(created, configuration)
    }

    /// Changes an existing consumer's limits: `ack_wait`, `max_deliver`, `max_ack_pending`, and what else the server lets
    /// be changed; never its filter (N-05).
    ///
    /// - Throws: ``JetStreamError``; `.api` 10014 if there is no such consumer.
    package func updateConsumer(
        _ configuration: ConsumerConfiguration,
        in stream: StreamName,
        timeout: Duration = .seconds(10)
    ) async throws(JetStreamError) -> ConsumerInfo {
        guard let name = configuration.name, let found = try await consumerInfo(name, in: stream, timeout: timeout)
        else { throw .api(code: 404, errorCode: 10014, description: "consumer not found") }
        var expected = configuration
        expected.ackWait = found.configuration.ackWait
        expected.maxDeliver = found.configuration.maxDeliver
        expected.maxAckPending = found.configuration.maxAckPending
        _ = try Self.checked(found, expected)
        return try await put(configuration, in: stream, action: "update", timeout)
    }

    /// A consumer's settings and state, or nil if there is no such consumer.
    ///
    /// - Throws: ``JetStreamError``; `.api` 10059 if there is no such stream.
    package func consumerInfo(
        _ name: ConsumerName,
        in stream: StreamName,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> ConsumerInfo? {
        let answer = try await request(.consumerInfo(name, stream), payload: [], timeout: timeout)
        do {
            return try APIResponse.consumerInfo(answer)
        } catch {
            if error.errorCode == 10014 { return nil }
            throw error
        }
    }

    /// Deletes a consumer; false if there was none.
    ///
    /// nats-server 2.9 may answer error 10051 to one of several that delete it at once, and to one that meets its end by
    /// itself: a consumer that is not there afterwards is deleted, one that is there is asked to go once more.
    /// - Throws: ``JetStreamError``; `.api` 10059 if there is no such stream.
    @discardableResult
    package func deleteConsumer(
        _ name: ConsumerName,
        in stream: StreamName,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> Bool {
        var isRepeated = false
        while true {
            do throws(JetStreamError) {
                return try await askToDelete(name, in: stream, timeout: timeout)
            } catch {
                guard error.errorCode == 10051 else { throw error }
                if try await consumerInfo(name, in: stream, timeout: timeout) == nil { return true }
                guard !isRepeated else { throw error }
                isRepeated = true
            }
        }
    }

    private func askToDelete(
        _ name: ConsumerName,
        in stream: StreamName,
        timeout: Duration
    ) async throws(JetStreamError) -> Bool {
        let answer = try await request(.deleteConsumer(name, stream), payload: [], timeout: timeout)
        do {
            return try APIResponse.success(answer)
        } catch {
            if error.errorCode == 10014 { return false }
            throw error
        }
    }

    /// The names of all consumers of a stream, as many pages as it takes.
    package func consumerNames(
        in stream: StreamName,
        timeout: Duration = .seconds(5)
    ) async throws(JetStreamError) -> [String] {
        var names: [String] = []
        while true {
            let page = Array("{\"offset\":\(names.count)}".utf8)
            let answer = try await request(.consumerNames(stream), payload: page, timeout: timeout)
            let (total, more) = try APIResponse.consumerNames(answer)
            names += more
            if more.isEmpty || names.count >= total { return names }
        }
    }

    private func put(
        _ configuration: ConsumerConfiguration,
        in stream: StreamName,
        action: String,
        _ timeout: Duration
    ) async throws(JetStreamError) -> ConsumerInfo {
        let subject: APISubject =
            if let name = configuration.name, configuration.isDurable {
                .createDurable(name, stream)
            } else if let name = configuration.name {
                .createConsumer(name, stream)
            } else {
                .createEphemeral(stream)
            }
        let payload = configuration.json(stream: stream, action: action)
        return try APIResponse.consumerInfo(try await request(subject, payload: payload, timeout: timeout))
    }

    private static func checked(
        _ found: ConsumerInfo,
        _ wanted: ConsumerConfiguration
    ) throws(JetStreamError) -> ConsumerInfo {
        let differences = wanted.differences(from: found.configuration).map(\.description)
        let all = differences + found.otherFeatures.map { "\($0) is set" }
        guard all.isEmpty else {
            let words = "consumer \(found.name) exists with other settings: \(all.joined(separator: "; "))"
            throw .api(code: 400, errorCode: 10148, description: words)
        }
        return found
    }
}

extension ConsumerConfiguration {
    /// The body of a create or update request; servers before 2.10 do not know `action`.
    func json(stream: StreamName, action: String) -> [UInt8] {
        var text = "{\"stream_name\":\"\(stream.text)\",\"action\":\"\(action)\",\"config\":{"
        if let name {
            text += "\"name\":\"\(name.text)\","
            if isDurable { text += "\"durable_name\":\"\(name.text)\"," }
        }
        text += "\"description\":\"\(JSONText.escaped(description))\","
        switch start {
        case .all: text += "\"deliver_policy\":\"all\""
        case .new: text += "\"deliver_policy\":\"new\""
        case .sequence(let sequence):
            text += "\"deliver_policy\":\"by_start_sequence\",\"opt_start_seq\":\(max(sequence, 1))"
        case .time(let time):
            text += "\"deliver_policy\":\"by_start_time\",\"opt_start_time\":\"\(JSONText.escaped(time))\""
        case .lastPerSubject: text += "\"deliver_policy\":\"last_per_subject\""
        }
        if filterSubjects.count == 1 {
            text += ",\"filter_subject\":\"\(filterSubjects[0].text)\""
        } else if filterSubjects.count > 1 {
            text += ",\"filter_subjects\":[\(filterSubjects.map { "\"\($0.text)\"" }.joined(separator: ","))]"
        } else if start == .lastPerSubject {
            text += ",\"filter_subject\":\">\""
        }
        text += ",\"ack_policy\":\"\(acknowledges ? "explicit" : "none")\",\"replay_policy\":\"instant\""
        text += ",\"max_deliver\":\(maxDeliver < 1 ? -1 : maxDeliver),\"max_waiting\":\(maxWaiting)"
        if acknowledges {
            text += ",\"ack_wait\":\(ackWait.nanoseconds),\"max_ack_pending\":\(maxAckPending)"
        }
        if let inactiveThreshold { text += ",\"inactive_threshold\":\(inactiveThreshold.nanoseconds)" }
        text += ",\"num_replicas\":\(replicas ?? 0),\"mem_storage\":\(memoryStorage)}}"
        return Array(text.utf8)
    }
}
