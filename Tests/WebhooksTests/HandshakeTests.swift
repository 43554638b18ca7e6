import Testing
import Webhooks

struct HandshakeTests {
    private let origin = "gateway.example.com"

    private func read(_ fields: [(String, String)], status: Int = 200) -> WebhookHandshake.Answer {
        let fields = fields.map { WebhookResponse.Field(name: $0.0, value: $0.1) }
        return WebhookHandshake.read(WebhookResponse(status: status, fields: fields), origin: origin)
    }

    private func isConsent(_ answer: WebhookHandshake.Answer) -> Bool {
        if case .consent = answer { return true }
        return false
    }

    @Test func consent() {
        #expect(read([("webhook-allowed-origin", origin)]) == .consent(nil))
        #expect(read([("webhook-allowed-origin", "*"), ("webhook-allowed-rate", "*")]) == .consent(.unlimited))
        #expect(read([("webhook-allowed-origin", "*"), ("webhook-allowed-rate", "120")]) == .consent(.perMinute(120)))
        // The status means nothing (HOOK-22, HOOK-23).
        #expect(read([("webhook-allowed-origin", "*")], status: 405) == .consent(nil))
    }

    @Test func noConsent() {
        #expect(!isConsent(read([])))
        #expect(!isConsent(read([("webhook-allowed-rate", "*")])))
        for value in [
            "", "other.example.com", "Gateway.example.com", "gateway.example.com, *", "* ", "**",
            "https://gateway.example.com",
        ] {
            #expect(!isConsent(read([("webhook-allowed-origin", value)])), "\(value)")
        }
        #expect(!isConsent(read([("webhook-allowed-origin", "*"), ("webhook-allowed-origin", origin)])))
        for rate in ["", "0", "-1", "1.5", "ten", "1 ", "**", "9999999999", "+1"] {
            #expect(!isConsent(read([("webhook-allowed-origin", "*"), ("webhook-allowed-rate", rate)])), "\(rate)")
        }
        #expect(
            !isConsent(
                read([("webhook-allowed-origin", "*"), ("webhook-allowed-rate", "1"), ("webhook-allowed-rate", "2")])
            )
        )
    }

    @Test func request() throws {
        let url = try SinkURL(parsing: "https://example.com/hook")
        let sink = try WebhookSink(url: url, partition: "a", method: "OPTIONS")
        let request = WebhookHandshake.request(sink, origin: origin, callback: "https://g/x?key=1", ratePerMinute: 60)
        #expect(request.sink.method == "OPTIONS")
        #expect(
            request.fields.map(\.name) == [
                "webhook-request-origin", "webhook-request-callback", "webhook-request-rate",
            ]
        )
        #expect(request.fields.map(\.value) == [origin, "https://g/x?key=1", "60"])
        #expect(WebhookHandshake.request(sink, origin: origin, ratePerMinute: 0).fields.count == 1)
    }

    @Test func callbackTokens() {
        let token = CallbackToken()
        #expect(token.text.utf8.count == 43)
        #expect(token.text != CallbackToken().text)
        var grant = token.grant(expires: 1000)
        #expect(!grant.digest.elementsEqual(token.text.utf8))
        var late = grant
        #expect(late.redeem(token.text, now: 1000) == .expired)
        #expect(grant.redeem(CallbackToken().text, now: 999) == .wrong)
        #expect(grant.redeem("", now: 999) == .wrong)
        #expect(grant.redeem(token.text, now: 999) == .accepted)
        #expect(grant.redeem(token.text, now: 999) == .used)
        var stored = CallbackGrant(digest: grant.digest, expires: 1000, isUsed: grant.isUsed)
        #expect(stored.redeem(token.text, now: 0) == .used)
    }

    @Test func sinksAndFields() throws {
        let url = try SinkURL(parsing: "https://example.com/hook")
        for name in [
            "Host", "content-length", "Transfer-Encoding", "connection", "TE", "", "a b", "a:b", "a\r\nb", "\u{E4}",
        ] {
            #expect(throws: WebhookSink.Fault.self) { try WebhookSink(url: url, partition: "", fields: [(name, "x")]) }
        }
        for value in ["s3cret\r\nb", "s3cret\nb", "s3cret\0", " s3cret", "s3cret ", "s3cret\u{7F}"] {
            let fault = #expect(throws: WebhookSink.Fault.self) {
                try WebhookSink(url: url, partition: "", fields: [("authorization", value)])
            }
            #expect(fault?.reason.contains("s3cret") == false)
        }
        #expect(throws: WebhookSink.Fault.self) { try WebhookSink(url: url, partition: "", method: "TRACE") }
        #expect(throws: WebhookSink.Fault.self) {
            try WebhookSink(url: url, partition: "", method: "POST /x HTTP/1.1\r\n")
        }
    }
}
