import CloudEvents
import DeliveryRules
import EventBus

/// A subscription as the API shows it: its definition without secrets, and what became of it.
struct SubscriptionObject {
    let record: SubscriptionRecord
    /// Why its sink has not consented, as far as this replica knows.
    let fault: String?
    /// The name of the stream of the events.
    let stream: String
    /// Where delivery begins again after a change of the filter.
    var restartedAt: UInt64?

    func write(into body: inout [UInt8]) {
        body.append(UInt8(ascii: "{"))
        SubscriptionWriter.appendMembers(of: record.subscription, to: &body)
        if record.subscription.deliveryProtocol == .nats { writeBinding(into: &body) }
        body.appendJSON(raw: ",\"state\":")
        body.appendJSON(string: record.state.name)
        if let reason = record.state.reason ?? fault {
            body.appendJSON(raw: ",\"stateReason\":")
            body.appendJSON(string: reason)
        }
        writeConsent(into: &body)
        body.appendJSON(raw: ",\"created\":")
        body.appendJSON(string: record.created.text)
        body.appendJSON(raw: ",\"updated\":")
        body.appendJSON(string: record.updated.text)
        if let restartedAt {
            body.appendJSON(raw: ",\"redeliveryFrom\":")
            body.appendJSON(integer: restartedAt)
            body.appendJSON(raw: ",\"note\":")
            body.appendJSON(
                string:
                    "the server filters by other subjects now: nothing is skipped, and what was settled from sequence "
                    + "\(restartedAt) on may come again"
            )
        }
        body.append(UInt8(ascii: "}"))
    }

    /// How native clients bind: with `subject` where the server's filter is one, with the stream and the consumer anyway.
    private func writeBinding(into body: inout [UInt8]) {
        body.appendJSON(raw: ",\"protocolsettings\":{\"stream\":")
        body.appendJSON(string: stream)
        body.appendJSON(raw: ",\"consumer\":")
        body.appendJSON(string: record.key.durableName)
        let subjects = record.filterSubjects
        body.appendJSON(raw: ",\"subject\":")
        if subjects.count == 1 { body.appendJSON(string: subjects[0]) } else { body.appendJSON(raw: "null") }
        if subjects.count > 1 {
            body.appendJSON(raw: ",\"subjects\":[")
            for (index, subject) in subjects.enumerated() {
                if index > 0 { body.append(UInt8(ascii: ",")) }
                body.appendJSON(string: subject)
            }
            body.append(UInt8(ascii: "]"))
        }
        body.append(UInt8(ascii: "}"))
    }

    private func writeConsent(into body: inout [UInt8]) {
        guard record.consent.status == .granted else { return }
        body.appendJSON(raw: ",\"consent\":{\"origin\":")
        if let origin = record.consent.origin { body.appendJSON(string: origin) } else { body.appendJSON(raw: "null") }
        body.appendJSON(raw: ",\"ratePerMinute\":")
        if let rate = record.consent.ratePerMinute {
            body.appendJSON(integer: UInt64(max(rate, 0)))
        } else {
            body.appendJSON(raw: "null")
        }
        body.append(UInt8(ascii: "}"))
    }
}

extension SubscriptionState {
    /// Why delivery was given up.
    var reason: String? {
        if case .disabled(let reason) = self { reason } else { nil }
    }
}

/// `GET /v1/subscriptions/{id}/status`.
struct SubscriptionStatus {
    let record: SubscriptionRecord
    /// Where it stands, over all replicas.
    let position: SubscriptionPosition
    /// What this replica did, nil if it does not deliver to it.
    let report: DeliveryReport?
    let fault: String?

    func write(into body: inout [UInt8]) {
        body.appendJSON(raw: "{\"state\":")
        body.appendJSON(string: record.state.name)
        if let reason = record.state.reason ?? fault {
            body.appendJSON(raw: ",\"stateReason\":")
            body.appendJSON(string: reason)
        }
        Self.write(",\"pending\":", position.pending, into: &body)
        Self.write(",\"inFlight\":", UInt64(max(position.unsettled, 0)), into: &body)
        Self.write(",\"redelivered\":", UInt64(max(position.redelivered, 0)), into: &body)
        body.appendJSON(raw: ",\"oldestAgeSeconds\":")
        if let age = position.oldestAgeSeconds {
            body.appendJSON(integer: UInt64(max(age, 0)))
        } else {
            body.appendJSON(raw: "null")
        }
        Self.write(",\"expiredUndelivered\":", position.expiredUndelivered, into: &body)
        body.appendJSON(raw: ",\"lastError\":")
        if let error = report?.lastError {
            body.appendJSON(raw: "{\"message\":")
            body.appendJSON(string: error.text)
            body.appendJSON(raw: ",\"time\":")
            body.appendJSON(string: Timestamp(unixMilliseconds: error.time)?.text ?? "")
            body.append(UInt8(ascii: "}"))
        } else {
            body.appendJSON(raw: "null")
        }
        body.appendJSON(raw: ",\"breaker\":")
        if let breaker = report?.breaker { body.appendJSON(string: breaker) } else { body.appendJSON(raw: "null") }
        writeReplica(into: &body)
        body.appendJSON(raw: ",\"replicaLocal\":[\"lastError\",\"breaker\",\"thisReplica\"]}")
    }

    /// What is counted here alone, since this process began with the subscription.
    private func writeReplica(into body: inout [UInt8]) {
        body.appendJSON(raw: ",\"thisReplica\":")
        guard let report else { return body.appendJSON(raw: "null") }
        Self.write("{\"inFlight\":", UInt64(max(report.inFlight, 0)), into: &body)
        Self.write(",\"attempts\":", report.counters.attempts, into: &body)
        Self.write(",\"delivered\":", report.counters.delivered, into: &body)
        Self.write(",\"failed\":", report.failed, into: &body)
        Self.write(",\"retried\":", report.counters.retried, into: &body)
        Self.write(",\"skipped\":", report.skipped, into: &body)
        body.appendJSON(raw: ",\"deadLettered\":{")
        var isFirst = true
        for reason in DeadLetterReason.allCases {
            let count = report.counters.deadLettered(reason)
            if count == 0 { continue }
            if !isFirst { body.append(UInt8(ascii: ",")) }
            isFirst = false
            body.appendJSON(string: reason.rawValue)
            Self.write(":", count, into: &body)
        }
        body.appendJSON(raw: "}}")
    }

    private static func write(_ name: StaticString, _ value: UInt64, into body: inout [UInt8]) {
        body.appendJSON(raw: name)
        body.appendJSON(integer: value)
    }
}

extension Timestamp {
    /// A moment of Unix time, in milliseconds.
    init?(unixMilliseconds: UInt64) {
        let (seconds, rest) = unixMilliseconds.quotientAndRemainder(dividingBy: 1000)
        self.init(secondsSinceEpoch: Int64(clamping: seconds), nanoseconds: Int32(rest) * 1_000_000)
    }
}
