import OTLPTracing
import Testing
import Tracing

@Suite("Samplers")
struct SamplerTests {
    /// The sampler, and what it says about a trace that starts here, of a sampled parent, of one that is not.
    @Test(
        "A parent decides only where the sampler is parent-based",
        arguments: [
            ("always_on", true, true, true), ("always_off", false, false, false),
            ("parentbased_always_on", true, true, false), ("parentbased_always_off", false, true, false),
            ("traceidratio", true, true, true), ("parentbased_traceidratio", true, true, false),
        ]
    ) func parents(name: String, root: Bool, sampled: Bool, unsampled: Bool) throws {
        let configuration = try OTLPConfiguration(
            values: ["OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_SAMPLER": name]
        )
        let tracer = OTLPTracer(configuration: configuration, logger: quietLogger)
        for (flags, expected) in [(UInt8?.none, root), (1, sampled), (0, unsampled)] {
            let parent = flags.map { SpanContext(traceIDHigh: 1, traceIDLow: 2, spanID: 3, flags: $0) }
            let span = tracer.startSpan("s", parent: parent, ofKind: .server)
            #expect(span.isRecording == expected && span.spanContext.isSampled == expected)
            #expect(parent == nil || span.spanContext.traceIDLow == 2)
        }
    }

    @Test(
        "A ratio goes by the last eight bytes of the trace id",
        arguments: [
            (0.0, 0, false), (0.5, 0, true), (0.5, 0x7FFF_FFFF_FFFF_FFFF, true),
            (0.5, 0x8000_0000_0000_0000, false), (1.0, .max, true), (0.25, 0x3FFF_FFFF_FFFF_FFFF, true),
            (0.25, 0x4000_0000_0000_0000, false), (-1, 0, false), (2, .max, true),
        ] as [(Double, UInt64, Bool)]
    ) func ratio(ratio: Double, low: UInt64, isSampled: Bool) {
        let sampler = OTLPSampler(root: .ratio(ratio), isParentBased: false)
        #expect(sampler.samples(traceIDLow: low, parent: nil) == isSampled)
    }

    @Test("A tenth of many traces is about a tenth of them") func share() throws {
        var configuration = OTLPConfiguration(endpoint: try CollectorEndpoint(url: "http://localhost:4318"))
        configuration.sampler = OTLPSampler(root: .ratio(0.1), isParentBased: true)
        let tracer = OTLPTracer(configuration: configuration, logger: quietLogger)
        let count = (0..<100_000).filter { _ in
            tracer.startSpan("s", parent: nil, ofKind: .server).spanContext.isSampled
        }.count
        // The standard deviation is 95.
        #expect((9000...11_000).contains(count))
    }
}
