import ServerFixtures
import Testing
import Webhooks

struct SignatureTests {
    private let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    private let id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    private let body = Array(#"{"test": 2432232314}"#.utf8)
    private let time: Int64 = 1_614_265_330

    /// The vector of the tests of all of Standard Webhooks' libraries.
    @Test func vector() throws {
        let fields = StandardWebhooks.sign(
            id: id,
            timestamp: time,
            body: body,
            secrets: [try WebhookSecret(parsing: secret)]
        )
        #expect(fields.map(\.name) == ["webhook-id", "webhook-timestamp", "webhook-signature"])
        #expect(fields[1].value == "1614265330")
        #expect(fields[2].value == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    private func verify(
        _ signatures: String,
        by secrets: [WebhookSecret],
        timestamp: String = "1614265330",
        now: Int64 = 1_614_265_330
    ) -> StandardWebhooks.Verdict {
        StandardWebhooks.verify(
            id: id,
            timestamp: timestamp,
            signatures: signatures,
            body: body,
            secrets: secrets,
            now: now
        )
    }

    /// Receivers that know the old secret, both, or the new one, at every stage of a rotation.
    @Test func rotation() throws {
        let old = try WebhookSecret(parsing: secret)
        let new = WebhookSecret()
        let signed = { (secrets: [WebhookSecret]) in
            StandardWebhooks.sign(id: self.id, timestamp: self.time, body: self.body, secrets: secrets)[2].value
        }
        for receiver in [[old], [old, new], [new]] {
            #expect(verify(signed([old, new]), by: receiver) == .valid)
            #expect(verify(signed([new, old]), by: receiver) == .valid)
        }
        #expect(verify(signed([old]), by: [new]) == .badSignature)
        #expect(verify(signed([new]), by: [old]) == .badSignature)
        #expect(signed([old, new]).split(separator: " ").count == 2)
    }

    @Test func whatIsNotValid() throws {
        let key = try WebhookSecret(parsing: secret)
        let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        #expect(verify(good, by: [key]) == .valid)
        #expect(verify("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,x \(good) v1,", by: [key]) == .valid)
        for bad in [
            "", "v1,", "v1", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,g0hM9SsE",
            good.dropLast(4) + "AAA=",
        ] {
            #expect(verify(String(bad), by: [key]) == .badSignature)
        }
        for timestamp in ["", "hello", "-1", "1614265330.0", "1614265029", "1614265631", "9223372036854775808"] {
            #expect(verify(good, by: [key], timestamp: timestamp) == .badTimestamp)
        }
        #expect(verify(good, by: [key], now: time + 300) == .valid)
        #expect(verify(good, by: [key], now: time - 301) == .badTimestamp)
    }

    @Test func secrets() throws {
        let random = WebhookSecret()
        #expect(try WebhookSecret(parsing: random.text) == random)
        #expect(random != WebhookSecret())
        // 31 and 32 bytes, with and without padding.
        #expect(
            try WebhookSecret(parsing: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr8=")
                == WebhookSecret(parsing: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr8")
        )
        for text in [
            "", "whsec_", secret.replacing("whsec_", with: ""), "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa!!", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==",
            "whsec_" + String(repeating: "A", count: 88),
        ] {
            let fault = #expect(throws: WebhookSecret.Fault.self) { try WebhookSecret(parsing: text) }
            #expect(fault?.reason.contains("MfKQ") == false)
        }
        #expect("\(random)" == "whsec_***")
        #expect(String(reflecting: random).contains(random.text.dropFirst(6)) == false)
        var dumped = ""
        dump(["secret": random], to: &dumped)
        #expect(!dumped.contains(random.text.dropFirst(6)))
    }

    /// One signer for bodies of many lengths, each checked with the secret anew.
    @Test func manyBodies() throws {
        let signer = StandardWebhooks.Signer([try WebhookSecret(parsing: secret), WebhookSecret()])
        let key = try WebhookSecret(parsing: secret)
        for count in [0, 1, 63, 64, 65, 1000, 100_000] {
            let body = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
            let fields = body.withUnsafeBytes { signer.fields(id: id, timestamp: time, body: $0) }
            let verdict = StandardWebhooks.verify(
                id: id,
                timestamp: fields[1].value,
                signatures: fields[2].value,
                body: body,
                secrets: [key],
                now: time
            )
            #expect(verdict == .valid)
        }
    }
}
