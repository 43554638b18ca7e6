import Foundation
import Glibc

/// An OTLP collector that is not ours: Python's HTTP server, and OpenTelemetry's generated classes.
package final class TraceCollector: Sendable {
    package let port: UInt16
    private let child: ChildProcess
    private let directory = TemporaryDirectory()

    /// - Parameter script: What it does about the first requests, each as JSON; see the program.
    package init(_ script: [String] = [], port: UInt16 = 0) throws {
        guard let python = ProcessInfo.processInfo.environment["SLUICE_TEST_PYTHON"], !python.isEmpty else {
            throw CollectorError("SLUICE_TEST_PYTHON names no Python with the package opentelemetry-proto")
        }
        let program = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../OTLPTracingTests/Fixtures/collector.py").path
        let arguments = [program, String(port), "[\(script.joined(separator: ","))]"]
        guard let child = ChildProcess(python, arguments, logPath: "\(directory.path)/collector.log") else {
            throw CollectorError("cannot start \(python)")
        }
        self.child = child
        let isUp = waitUntil(timeout: .seconds(30)) { child.log.contains("\n") || !child.isRunning }
        guard isUp, let line = child.log.split(separator: "\n").first,
            let hello = try? JSONDecoder().decode([String: UInt16].self, from: Data(line.utf8)),
            let port = hello["port"]
        else { throw CollectorError("the collector did not start: \(child.log)") }
        self.port = port
    }

    package func stop() { child.stop(SIGKILL) }

    /// Stops it with its connections open.
    package func pause() { child.signal(SIGSTOP) }

    package var url: String { "http://127.0.0.1:\(port)" }
    /// What it wrote.
    package var log: String { child.log }

    /// The requests that it has got so far.
    package var requests: [Request] {
        child.log.split(separator: "\n").dropFirst().compactMap {
            try? JSONDecoder().decode(Request.self, from: Data($0.utf8))
        }
    }

    /// The spans of all requests in the order they came.
    package var spans: [Span] { requests.flatMap(\.spans) }
}

package struct CollectorError: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

extension TraceCollector {
    package struct Attribute: Decodable, Equatable {
        package let key: String
        package let kind: String
        /// The value as JSON.
        package let text: String

        package init(key: String, kind: String, text: String) {
            (self.key, self.kind, self.text) = (key, kind, text)
        }
    }

    package struct Event: Decodable, Equatable {
        package let name: String
        package let time: UInt64
        package let attributes: [Attribute]
        package let attributesDropped: Int
    }

    package struct Link: Decodable, Equatable {
        package let traceID: String
        package let spanID: String
        package let state: String
        package let flags: Int
        package let attributes: [Attribute]
    }

    package struct Span: Decodable, Equatable {
        package let traceID: String
        package let spanID: String
        package let parentID: String
        package let state: String
        package let flags: Int
        package let name: String
        package let kind: String
        package let start: UInt64
        package let end: UInt64
        package let attributes: [Attribute]
        package let attributesDropped: Int
        package let events: [Event]
        package let eventsDropped: Int
        package let links: [Link]
        package let linksDropped: Int
        package let status: String
        package let statusMessage: String

        package func attribute(_ key: String) -> Attribute? { attributes.first { $0.key == key } }
    }

    package struct Scope: Decodable, Equatable {
        package let name: String
        package let version: String
        package let spans: [Span]
    }

    package struct Resource: Decodable, Equatable {
        package let attributes: [Attribute]
        package let scopes: [Scope]
    }

    package struct Body: Decodable, Equatable {
        /// Whether the generated classes write just the same bytes.
        package let isCanonical: Bool
        package let resources: [Resource]
    }

    package struct Request: Decodable, Equatable {
        package let path: String
        package let fields: [String: String]
        /// Counted from 0.
        package let connection: Int
        package let body: Body?

        package var spans: [Span] { body?.resources.flatMap { $0.scopes.flatMap(\.spans) } ?? [] }
    }
}
