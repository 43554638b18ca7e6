import ServerFixtures
import Testing

extension EndToEnd {
    /// Trace context and spans (W3C Trace Context; OpenTelemetry's OTLP, checked with its own definitions).
    @Suite(.serialized) struct TracingTests {
        private static let traceID = "0af7651916cd43dd8448eb211c80319c"
        private static let senderID = "b7ad6b7169203331"
        private static let sender = [
            ("traceparent", "00-\(traceID)-\(senderID)-01"), ("tracestate", "vendor=1"),
        ]

        private static func stack(_ collector: TraceCollector, _ more: [String: String] = [:]) throws -> GatewayStack {
            let settings = ["OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "LOG_LEVEL": "debug"]
            return try GatewayStack(NATSServer.standard, settings: settings.merging(more) { $1 })
        }

        private static func spans(_ count: Int, of collector: TraceCollector) throws -> [TraceCollector.Span] {
            try #require(waitUntil(timeout: .seconds(30)) { collector.spans.count >= count }, "\(collector.log)")
            return collector.spans
        }

        @Test func `a request, its validation and its publishing are spans of the sender's trace`() throws {
            let collector = try TraceCollector()
            let stack = try Self.stack(collector)
            let event = TestEvent(id: "traced")
            #expect(try stack.exchange(event.structured(headers: Self.sender)).status == 202)
            let spans = try Self.spans(3, of: collector)
            #expect(spans.map(\.traceID) == [Self.traceID, Self.traceID, Self.traceID])
            let request = try #require(spans.first { $0.kind == "SPAN_KIND_SERVER" })
            #expect(request.name == "POST /v1/events")
            #expect(request.parentID == Self.senderID)
            #expect(request.attribute("http.response.status_code")?.text == "202")
            let publish = try #require(spans.first { $0.kind == "SPAN_KIND_PRODUCER" })
            #expect(publish.parentID == request.spanID)
            #expect(publish.attribute("messaging.destination.name")?.text == "\"SLUICE_EVENTS\"")
            #expect(publish.attribute("cloudevents.event_id")?.text == "\"traced\"")
            let validate = try #require(spans.first { $0.name == "validate" })
            #expect(validate.parentID == request.spanID)
            #expect(spans.allSatisfy { $0.start <= $0.end && $0.start >= request.start && $0.end <= request.end })
            let resource = try #require(collector.requests.first?.body?.resources.first)
            #expect(resource.attributes.first { $0.key == "service.name" }?.text == "\"sluice\"")
            // EXT-02: the context travels beside the event, and the event is as it was sent.
            let message = try #require(try stack.reader().message(1))
            #expect(message["traceparent"] == "00-\(Self.traceID)-\(request.spanID)-01")
            #expect(message["tracestate"] == "vendor=1")
            #expect(String(decoding: message.payload, as: UTF8.self) == event.json)
            let line = try #require(stack.gateway.log.first { $0.contains("event stored") })
            #expect(line.contains("\"trace_id\":\"\(Self.traceID)\""))
            #expect(line.contains("\"span_id\":\"\(request.spanID)\""))
        }

        @Test func `refusals and faults are errors of their spans`() throws {
            let collector = try TraceCollector()
            let stack = try Self.stack(collector)
            _ = try stack.exchange(StatusTests.structured("{}"))
            let refused = try #require(try Self.spans(2, of: collector).first { $0.kind == "SPAN_KIND_SERVER" })
            #expect(refused.attribute("http.response.status_code")?.text == "400")
            #expect(refused.status == "STATUS_CODE_UNSET", "the client's fault is not the server's error")
            stack.server.kill()
            let event = TestEvent()
            try #require(waitUntil { (try? stack.exchange(event.structured()).status) == 503 })
            #expect(
                waitUntil(timeout: .seconds(30)) {
                    collector.spans.contains {
                        $0.attribute("http.response.status_code")?.text == "503" && $0.status == "STATUS_CODE_ERROR"
                    }
                }
            )
        }

        @Test func `what the sender does not sample is passed on but not exported`() throws {
            let collector = try TraceCollector()
            let stack = try Self.stack(collector)
            let unsampled = [("traceparent", "00-\(Self.traceID)-\(Self.senderID)-00")]
            #expect(try stack.exchange(TestEvent().structured(headers: unsampled)).status == 202)
            #expect(try stack.exchange(TestEvent().structured(headers: Self.sender)).status == 202)
            #expect(try Self.spans(3, of: collector).allSatisfy { $0.flags & 1 == 1 })
            let message = try #require(try stack.reader().message(1))
            #expect(message["traceparent"]?.hasPrefix("00-\(Self.traceID)-") == true)
            #expect(message["traceparent"]?.hasSuffix("-00") == true)
        }

        @Test func `a collector that hangs or is away costs spans, not requests`() throws {
            let collector = try TraceCollector()
            let stack = try Self.stack(collector)
            collector.pause()
            let connection = try stack.gateway.connect()
            for _ in 0..<3000 { #expect(try connection.exchange(TestEvent().structured()).status == 202) }
            collector.stop()
            #expect(try connection.exchange(TestEvent().structured()).status == 202)
            #expect(
                waitUntil(timeout: .seconds(60)) {
                    (try? MetricsPage(stack.gateway.get("/metrics"))["sluice_trace_spans_dropped_total"]) ?? 0 > 0
                }
            )
        }

        @Test func `without a collector the sender's context goes through as it came`() throws {
            let stack = try GatewayStack(NATSServer.standard)
            #expect(try stack.exchange(TestEvent().structured(headers: Self.sender)).status == 202)
            #expect(try stack.exchange(TestEvent().structured()).status == 202)
            let messages = try stack.reader().allMessages()
            #expect(messages[0]["traceparent"] == Self.sender[0].1)
            #expect(messages[1]["traceparent"] == nil)
        }

        @Test func `a collector's address that cannot be used is refused at the start`() {
            #expect(throws: (any Error).self) {
                try GatewayProcess(
                    natsURL: "nats://127.0.0.1:1",
                    settings: ["OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector:4318"],
                    until: .live
                )
            }
        }
    }
}
