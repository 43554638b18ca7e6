import Instrumentation
import OTLPTracing
import Testing
import Tracing

@Suite("W3C Trace Context")
struct TraceContextTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let span = "b7ad6b7169203331"

    @Test(
        "A valid traceparent",
        arguments: [
            ("00-\(trace)-\(span)-00", 0), ("00-\(trace)-\(span)-01", 1), ("00-\(trace)-\(span)-03", 3),
            ("00-\(trace)-\(span)-ff", 3), ("00-\(trace)-\(span)-08", 0), ("01-\(trace)-\(span)-01", 1),
            ("fe-\(trace)-\(span)-01-what-the-future-holds", 1), ("cc-\(trace)-\(span)-01-", 1),
        ] as [(String, UInt8)]
    ) func valid(text: String, flags: UInt8) throws {
        let context = try #require(SpanContext(traceParent: text))
        #expect(context.traceIDText == Self.trace && context.spanIDText == Self.span)
        #expect(context.flags == flags && context.isSampled == (flags & 1 == 1) && context.isRemote)
        let shown = "00-\(Self.trace)-\(Self.span)-0\(flags)"
        #expect(context.traceParent == shown)
        #expect(SpanContext(traceParent: shown) == context)
    }

    @Test(
        "An invalid traceparent",
        arguments: [
            "", "00", "00-", "-", "ff-\(trace)-\(span)-01", "00-\(trace)-\(span)-01-", "00-\(trace)-\(span)-01-more",
            "00-\(trace)-\(span)-01.", "cc-\(trace)-\(span)-01.more", "cc-\(trace)-\(span)-0100",
            "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01",
            "00-\(trace.uppercased())-\(span)-01", "00-\(trace)-\(span.uppercased())-01", "0x-\(trace)-\(span)-01",
            "00-\(trace)-\(span)-0x", "00-\(trace)-\(span)-0", "00-\(trace)-\(span)",
            "00-\(trace.dropLast())-\(span)-01",
            "00-\(trace)0-\(span)-01", "00-\(trace)-\(span)0-01", "00_\(trace)-\(span)-01", "00-\(trace)_\(span)-01",
            "00-\(trace)-\(span)_01", " 00-\(trace)-\(span)-01", "00-\(trace)-\(span)-01 ", "0-\(trace)-\(span)-01",
            "00-\(trace.dropLast())é-\(span)-01", "00-\(trace)-\(span)-0\u{0}",
            "00-.af7651916cd43dd8448eb211c80319c-\(span)-01",
        ]
    ) func invalid(text: String) {
        #expect(SpanContext(traceParent: text, traceState: "a=1") == nil)
    }

    private static let longKey = String(repeating: "k", count: 256)
    private static let longTenant = String(repeating: "t", count: 241) + "@" + String(repeating: "v", count: 14)
    private static let longValue = String(repeating: "v", count: 256)
    private static let members32 = (1...32).map { "k\($0)=\($0)" }.joined(separator: ",")

    @Test(
        "A valid tracestate is passed on, without blanks between members",
        arguments: [
            ("foo=1", "foo=1"), ("foo=1,bar=2", "foo=1,bar=2"), ("foo=1 \t , \tbar=2, baz=3", "foo=1,bar=2,baz=3"),
            ("foo=1,", "foo=1"), (",foo=1,,bar=2", "foo=1,bar=2"), (" foo=1", "foo=1"), ("foo=1\t", "foo=1"),
            ("foo=1 2", "foo=1 2"), ("fw529a3039@dt=FfAAAADv;x:/@!~", "fw529a3039@dt=FfAAAADv;x:/@!~"),
            ("0a@b=1", "0a@b=1"), ("a-_*/9=1", "a-_*/9=1"), ("foo=1,foo=2", "foo=1,foo=2"),
            ("\(longKey)=1", "\(longKey)=1"), ("\(longTenant)=1", "\(longTenant)=1"),
            ("a=\(longValue)", "a=\(longValue)"),
            (members32, members32),
        ]
    ) func validState(text: String, passedOn: String) {
        #expect(TraceState.checked(text) == passedOn)
    }

    @Test(
        "An invalid tracestate is left out, and the parent stays",
        arguments: [
            "", " ", ",", "foo", "foo=", "=1", "foo =1", "FOO=1", "foo.bar=1", "foo@=1", "@foo=1", "foo@@bar=1",
            "foo@bar@baz=1", "foo=1,bar", "foo=bar=baz", "foo=1\u{7f}", "foo=ü", "foo=1\r\nx: y", "0foo=1", "foo@0a=1",
            "\(longKey)k=1", "t\(longTenant)=1", "\(longTenant)v=1", "a=\(longValue)v", members32 + ",k33=33",
        ]
    ) func invalidState(text: String) throws {
        let parent = "00-\(Self.trace)-\(Self.span)-01"
        #expect(try #require(SpanContext(traceParent: parent, traceState: text)).state == nil)
    }

    @Test("A tracestate that is too long loses whole members, the long ones first") func longState() {
        let long = "long=" + String(repeating: "x", count: 200)
        let short = (1...30).map { "key\($0)=0123456789" }
        let text = ([long] + short).joined(separator: ",")
        #expect(TraceState.checked(text) == short.joined(separator: ","))
        let middle = (1...6).map { "key\($0)=" + String(repeating: "x", count: 100) }
        #expect(TraceState.checked(middle.joined(separator: ",")) == middle[..<4].joined(separator: ","))
    }

    private struct Fields: Injector, Extractor {
        func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }
        func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
    }

    @Test("What is extracted is injected with the new span's id") func roundTrip() throws {
        let endpoint = try CollectorEndpoint(url: "http://localhost:4318")
        let tracer = OTLPTracer(configuration: OTLPConfiguration(endpoint: endpoint), logger: quietLogger)
        let received = ["traceparent": "00-\(Self.trace)-\(Self.span)-03", "tracestate": "a=1 , b=2"]
        var context = ServiceContext.topLevel
        tracer.extract(received, into: &context, using: Fields())
        let span = tracer.startSpan("hop", context: context)
        var sent: [String: String] = [:]
        tracer.inject(span.context, into: &sent, using: Fields())
        #expect(sent == ["traceparent": "00-\(Self.trace)-\(span.spanContext.spanIDText)-03", "tracestate": "a=1,b=2"])
        var untouched = ServiceContext.topLevel
        tracer.extract(["traceparent": "nonsense", "tracestate": "a=1"], into: &untouched, using: Fields())
        #expect(untouched.spanContext == nil)
        var nothing: [String: String] = [:]
        tracer.inject(untouched, into: &nothing, using: Fields())
        #expect(nothing.isEmpty)
    }
}
