import Instrumentation
import OTLPTracing
import ServerFixtures
import Testing
import Tracing

@Suite("Export to a collector that decodes with OpenTelemetry's classes")
struct ExportTests {
    private struct Boom: Error, CustomStringConvertible {
        let description = "it went boom"
    }

    private func record(_ tracer: OTLPTracer, parent: SpanContext) -> (OTLPSpan, OTLPSpan) {
        var context = ServiceContext.topLevel
        context.spanContext = parent
        let span = tracer.startSpan("publish", context: context, ofKind: .server)
        span.setAttribute("text", to: "grüß")
        span.setAttribute("empty", to: "")
        span.setAttribute("number", to: -7)
        span.setAttribute("zero", to: 0)
        span.setAttribute("yes", to: true)
        span.attributes["no"] = false
        span.attributes["double"] = 0.5
        span.attributes["texts"] = ["a", "b"]
        span.attributes["numbers"] = SpanAttribute.int64Array([1, -2])
        span.attributes["shown"] = SpanAttribute.stringConvertible(Boom())
        span.addEvent(SpanEvent(name: "stored", attributes: ["sequence": 5]))
        span.recordError(Boom(), attributes: ["retry": true])
        span.addLink(SpanLink(context: context, attributes: ["why": "batch"]))
        span.setStatus(SpanStatus(code: .error, message: "no luck"))
        let child = tracer.startSpan("store", context: span.context, ofKind: .producer)
        child.operationName = "store event"
        child.setStatus(SpanStatus(code: .ok))
        child.end()
        span.end()
        return (span, child)
    }

    @Test("Every field arrives") func everyField() async throws {
        let collector = try Collector()
        var configuration = try collector.configuration()
        configuration.resource["service.instance.id"] = "replica-1"
        configuration.scope = ("sluice.test", "1.2")
        configuration.headers = [("x-key", "s3cret")]
        let parent = try #require(
            SpanContext(
                traceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
                traceState: "congo=t61rcWkgMzE, rojo=00f067aa0ba902b7"
            )
        )
        let before = SpanClock.wall()
        try await withTracer(configuration) { tracer in
            let (span, child) = record(tracer, parent: parent)
            await expect(tracer) { $0.exported == 2 }
            let after = SpanClock.wall()
            let request = try #require(collector.requests.first, "\(collector.log)")
            #expect(request.path == "/v1/traces")
            #expect(request.fields["content-type"] == "application/x-protobuf")
            #expect(request.fields["x-key"] == "s3cret")
            let body = try #require(request.body)
            #expect(body.isCanonical)
            let resource = try #require(body.resources.first)
            #expect(
                resource.attributes.map { "\($0.key)=\($0.text)" } == [
                    #"service.instance.id="replica-1""#, #"service.name="sluice""#,
                    #"telemetry.sdk.language="swift""#, #"telemetry.sdk.name="sluice""#,
                ]
            )
            #expect(resource.scopes.first?.name == "sluice.test" && resource.scopes.first?.version == "1.2")
            let spans = collector.spans
            let server = try #require(spans.first { $0.name == "publish" })
            let inner = try #require(spans.first { $0.name == "store event" })
            check(server, span, parent)
            #expect(server.start >= before && server.end <= after && server.start <= server.end)
            #expect(inner.parentID == span.spanContext.spanIDText && inner.traceID == parent.traceIDText)
            #expect(inner.spanID == child.spanContext.spanIDText && inner.spanID != server.spanID)
            #expect(inner.kind == "SPAN_KIND_PRODUCER" && inner.status == "STATUS_CODE_OK" && inner.flags == 0x103)
            #expect(inner.start >= server.start && inner.end <= server.end)
        }
    }

    private func check(_ server: Collector.Span, _ span: OTLPSpan, _ parent: SpanContext) {
        #expect(server.traceID == "0af7651916cd43dd8448eb211c80319c")
        #expect(server.parentID == "b7ad6b7169203331")
        #expect(server.spanID == span.spanContext.spanIDText)
        #expect(server.state == "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
        #expect(server.flags == 0x303)
        #expect(server.kind == "SPAN_KIND_SERVER")
        #expect(server.status == "STATUS_CODE_ERROR" && server.statusMessage == "no luck")
        let attributes = server.attributes.map { "\($0.key) \($0.kind) \($0.text)" }
        #expect(
            Set(attributes) == [
                #"text string_value "gr\u00fc\u00df""#, #"empty string_value """#, "number int_value -7",
                "zero int_value 0", "yes bool_value true", "no bool_value false", "double double_value 0.5",
                #"texts array_value ["\"a\"", "\"b\""]"#, #"numbers array_value ["1", "-2"]"#,
                #"shown string_value "it went boom""#,
            ]
        )
        #expect(server.events.map(\.name) == ["stored", "exception"])
        #expect(server.events.allSatisfy { $0.time >= server.start && $0.time <= server.end })
        #expect(server.events.first?.attributes == [.init(key: "sequence", kind: "int_value", text: "5")])
        let error = server.events.last?.attributes.map { "\($0.key)=\($0.text)" } ?? []
        #expect(error.contains(#"exception.message="it went boom""#) && error.contains("retry=true"))
        #expect(error.contains { $0.hasPrefix("exception.type=") && $0.hasSuffix(#"Boom""#) })
        let link = server.links.first
        #expect(link?.traceID == parent.traceIDText && link?.spanID == parent.spanIDText && link?.flags == 0x303)
        #expect(link?.state == server.state && link?.attributes.first?.text == #""batch""#)
    }

    @Test("A span keeps no more than its bounds, and says how much it left out") func bounds() async throws {
        let collector = try Collector()
        try await withTracer(try collector.configuration()) { tracer in
            let span = tracer.startSpan(String(repeating: "n", count: 300), parent: nil, ofKind: .client)
            span.setAttribute("long", to: String(repeating: "ü", count: 200) + "end")
            span.setAttribute("odd", to: "x" + String(repeating: "ü", count: 200))
            span.setAttribute(String(repeating: "k", count: 129), to: 1)
            for number in 0..<40 { span.setAttribute("a\(number)", to: number) }
            span.setAttribute("a1", to: "again")
            for _ in 0..<20 { span.addEvent("e") }
            for _ in 0..<18 { span.addLink(SpanLink(context: span.context, attributes: [:])) }
            span.attributes["list"] = Array(repeating: 1, count: 50)
            span.end()
            span.setAttribute("late", to: 1)
            span.operationName = "late"
            span.end()
            await expect(tracer) { $0.exported == 1 }
            let got = try #require(collector.spans.first)
            #expect(got.name == String(repeating: "n", count: 256))
            #expect(got.attributes.count == 32)
            #expect(got.attribute("long")?.text.components == 128)
            #expect(got.attribute("odd")?.text.components == 127)
            #expect(got.attribute("a1")?.text == #""again""# && got.attribute("late") == nil)
            #expect(got.events.count == 16 && got.eventsDropped == 4)
            #expect(got.links.count == 16 && got.linksDropped == 2)
            #expect(!span.isRecording && span.operationName == got.name)
        }
    }

    @Test("The rest is exported when the exporter ends; a span of a trace that is not sampled is not") func lastFlush()
        async throws
    {
        let collector = try Collector()
        var configuration = try collector.configuration()
        configuration.delay = .seconds(3600)
        configuration.batchMax = 100
        let unsampled = SpanContext(traceIDHigh: 1, traceIDLow: 2, spanID: 3, flags: 0)
        try await withTracer(configuration) { tracer in
            tracer.record(250)
            let silent = tracer.startSpan("x", parent: unsampled, ofKind: .server)
            #expect(!silent.isRecording && silent.spanContext.spanID != 3 && !silent.spanContext.isSampled)
            silent.setAttribute("a", to: 1)
            silent.end()
            await expect(tracer) { $0.exported >= 200 }
        }
        #expect(collector.spans.count == 250)
        #expect(collector.requests.map(\.spans.count).allSatisfy { $0 <= 100 })
        #expect(Set(collector.spans.map(\.spanID)).count == 250 && Set(collector.spans.map(\.traceID)).count == 250)
        #expect(Set(collector.requests.map(\.connection)) == [0], "one connection is kept")
    }

    @Test("forceFlush does not wait for the delay") func forceFlush() async throws {
        let collector = try Collector()
        var configuration = try collector.configuration()
        configuration.delay = .seconds(3600)
        try await withTracer(configuration) { tracer in
            tracer.record(3)
            // The exporter may not run yet when the first one is asked for.
            let isExported = await eventually(timeout: .seconds(30)) {
                tracer.forceFlush()
                return tracer.status.exported == 3
            }
            #expect(isExported)
        }
    }

    @Test("withSpan makes the span current, and notes the error that ends it") func currentSpan() async throws {
        let collector = try Collector()
        try await withTracer(try collector.configuration()) { tracer in
            _ = try? tracer.withSpan("outer") { _ in
                #expect(ServiceContext.current?.spanContext?.isSampled == true)
                try tracer.withSpan("inner") { _ in throw Boom() }
            }
            await expect(tracer) { $0.exported == 2 }
            let inner = try #require(collector.spans.first { $0.name == "inner" })
            let outer = try #require(collector.spans.first { $0.name == "outer" })
            #expect(inner.parentID == outer.spanID && inner.traceID == outer.traceID && outer.parentID.isEmpty)
            #expect(inner.status == "STATUS_CODE_ERROR" && inner.events.first?.name == "exception")
            #expect(outer.flags == 0x101)
        }
    }
}

extension String {
    /// How many times the JSON text has an escaped `ü`.
    fileprivate var components: Int { split(separator: #"\u00fc"#, omittingEmptySubsequences: false).count - 1 }
}
