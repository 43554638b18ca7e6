import OTLPTracing
import Testing

@Suite("Configuration by OpenTelemetry's variables")
struct ConfigurationTests {
    private static let base = "OTEL_EXPORTER_OTLP_ENDPOINT"
    private static let exact = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"

    private func configuration(_ values: [String: String]) throws -> OTLPConfiguration {
        try OTLPConfiguration(values: values.merging([Self.base: "http://localhost:4318"]) { given, _ in given })
    }

    @Test(
        "Endpoints",
        arguments: [
            (base, "http://localhost:4318", "localhost", 4318, "/v1/traces"),
            (base, "http://localhost:4318/", "localhost", 4318, "/v1/traces"),
            (base, "HTTP://10.0.0.1/otlp//", "10.0.0.1", 80, "/otlp/v1/traces"),
            (base, " http://[::1]:1 ", "::1", 1, "/v1/traces"),
            (exact, "http://c:4318", "c", 4318, "/"), (exact, "http://c:4318/in?key=1", "c", 4318, "/in?key=1"),
            (exact, "http://c?x", "c", 80, "/?x"), (exact, "http://[fe80::1]/a/", "fe80::1", 80, "/a/"),
        ]
    ) func endpoint(variable: String, text: String, host: String, port: Int, target: String) throws {
        let endpoint = try OTLPConfiguration(values: [variable: text]).endpoint
        #expect(endpoint.host == host && endpoint.port == port && endpoint.target == target)
    }

    @Test("The endpoint for traces wins over the base; an empty one counts as none") func precedence() throws {
        #expect(try configuration([Self.exact: "http://t/x"]).endpoint.target == "/x")
        #expect(try configuration([Self.exact: " "]).endpoint.host == "localhost")
    }

    @Test(
        "Endpoints that cannot be used",
        arguments: [
            ("https://c:4318", "asks for TLS"), ("HTTPS://c", "asks for TLS"), ("grpc://c", "is not an HTTP URL"),
            ("c:4318", "is not an HTTP URL"), ("http://a b", "is not an HTTP URL"),
            ("http://c/#x", "is not an HTTP URL"),
            ("http://c/\r\nx", "is not an HTTP URL"), ("http://u:secret@c", "holds credentials"),
            ("http://", "does not name"), ("http://:4318", "does not name"), ("http://c:0", "does not name"),
            ("http://c:65536", "does not name"), ("http://c:", "does not name"), ("http://c:+1", "does not name"),
            ("http://[::1", "does not name"), ("http://[::1]x", "does not name"), ("http://a:1:2", "does not name"),
            ("http://c/?q=1", "must not have a query"), ("", "is missing"),
        ]
    ) func badEndpoint(text: String, reason: String) throws {
        let error = try #require(throws: OTLPConfigurationError.self) { try configuration([Self.base: text]) }
        #expect(error.problems.map(\.variable) == [Self.base])
        #expect(error.problems.first?.reason.hasPrefix(reason) == true, "\(error)")
        #expect(!error.description.contains("secret"))
    }

    @Test("Headers are percent-decoded; those for traces win") func headers() throws {
        let variable = "OTEL_EXPORTER_OTLP_HEADERS"
        let some = try configuration([variable: "api-key=a%2Cb%3D , X-Scope = t%20%C3%BC=1,, empty="]).headers
        #expect(some.map { "\($0.name):\($0.value)" } == ["api-key:a,b=", "X-Scope:t ü=1", "empty:"])
        let own = try configuration([variable: "a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "b=2"]).headers
        #expect(own.map(\.name) == ["b"])
    }

    @Test(
        "Headers that cannot be sent",
        arguments: [
            ("noequals", "item 1 has no `=`"), ("a=1,=secret", "item 2 has no name"),
            ("a=%zz", "item 1 is not percent"),
            ("a=%f", "item 1 is not percent"), ("a=%ff", "item 1 is not percent"), ("a=x%0D%0Asecret:1", "has a value"),
            ("a b=secret", "names a header"), ("Host=secret", "must not set"),
            ("transfer-encoding=secret", "must not set"),
        ]
    ) func badHeaders(text: String, reason: String) throws {
        let error = try #require(throws: OTLPConfigurationError.self) {
            try configuration(["OTEL_EXPORTER_OTLP_HEADERS": text])
        }
        #expect(error.problems.count == 1 && error.description.contains(reason), "\(error)")
        #expect(!error.description.contains("secret"))
    }

    @Test("The service's name comes from its own variable, else from the resource, else it is sluice")
    func serviceName()
        throws
    {
        let resource = "OTEL_RESOURCE_ATTRIBUTES"
        #expect(try configuration([:]).resource == ["service.name": "sluice"])
        let named = try configuration([resource: "service.name=r,deployment.environment.name=pro%64"]).resource
        #expect(named == ["service.name": "r", "deployment.environment.name": "prod"])
        let both = try configuration([resource: "service.name=r", "OTEL_SERVICE_NAME": "own"]).resource
        #expect(both == ["service.name": "own"])
    }

    @Test(
        "Samplers",
        arguments: [
            (nil, nil, OTLPSampler.Root.alwaysOn, true), ("always_on", nil, .alwaysOn, false),
            ("always_off", "x", .alwaysOff, false), ("traceidratio", "0.25", .ratio(0.25), false),
            ("traceidratio", nil, .ratio(1), false), ("parentbased_always_on", nil, .alwaysOn, true),
            ("parentbased_always_off", nil, .alwaysOff, true),
            ("parentbased_traceidratio", "1e-3", .ratio(0.001), true),
        ] as [(String?, String?, OTLPSampler.Root, Bool)]
    ) func sampler(name: String?, argument: String?, root: OTLPSampler.Root, isParentBased: Bool) throws {
        var values: [String: String] = [:]
        values["OTEL_TRACES_SAMPLER"] = name
        values["OTEL_TRACES_SAMPLER_ARG"] = argument
        #expect(try configuration(values).sampler == OTLPSampler(root: root, isParentBased: isParentBased))
    }

    @Test("Times and sizes") func numbers() throws {
        let configuration = try configuration([
            "OTEL_EXPORTER_OTLP_TIMEOUT": "2500", "OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_BSP_MAX_QUEUE_SIZE": "100",
        ])
        #expect(configuration.timeout == .milliseconds(2500) && configuration.delay == .milliseconds(50))
        #expect(configuration.queueMax == 100 && configuration.batchMax == 100)
    }

    @Test("Everything that is wrong is told at once") func allProblems() throws {
        let error = try #require(throws: OTLPConfigurationError.self) {
            try OTLPConfiguration(values: [
                Self.base: "https://c", "OTEL_EXPORTER_OTLP_HEADERS": "x", "OTEL_RESOURCE_ATTRIBUTES": "y",
                "OTEL_TRACES_SAMPLER": "parentbased_", "OTEL_EXPORTER_OTLP_TIMEOUT": "-1",
                "OTEL_BSP_SCHEDULE_DELAY": "0", "OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "11",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
            ])
        }
        #expect(
            Set(error.problems.map(\.variable)) == [
                Self.base, "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER",
                "OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
                "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
            ]
        )
        for text in ["-0.1", "1.1", "nan", "", "half"] where !text.isEmpty {
            let error = try #require(throws: OTLPConfigurationError.self) {
                try configuration(["OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": text])
            }
            #expect(error.problems.map(\.variable) == ["OTEL_TRACES_SAMPLER_ARG"])
        }
    }
}
