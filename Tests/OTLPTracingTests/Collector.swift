import OTLPTracing
import ServerFixtures

typealias Collector = TraceCollector

extension TraceCollector {
    /// A configuration with short pauses for this collector.
    func configuration() throws -> OTLPConfiguration { try Self.configuration(port: port) }

    static func configuration(port: UInt16) throws -> OTLPConfiguration {
        var configuration = OTLPConfiguration(endpoint: try CollectorEndpoint(base: "http://127.0.0.1:\(port)"))
        configuration.delay = .milliseconds(20)
        configuration.retryDelay = .milliseconds(20)
        configuration.retryDelayMax = .milliseconds(100)
        return configuration
    }
}
