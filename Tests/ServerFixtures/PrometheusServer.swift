import Foundation
import Glibc

/// A real Prometheus that scrapes one endpoint, on a port of loopback, its store in a directory of its own.
package final class PrometheusServer: Sendable {
    private let port: UInt16
    private let directory = TemporaryDirectory()
    private let child: ChildProcess
    private let held: (any Sendable)?

    /// It could not be started, or does not answer.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    /// Starts a server that scrapes `/metrics` on a port of loopback, and waits until it answers.
    ///
    /// - Parameter held: Lives as long as the server, such as what answers on the port.
    package init(scraping target: UInt16, keeping held: (any Sendable)? = nil) throws {
        self.held = held
        port = try freePort()
        let configuration = """
            global:
              scrape_interval: 200ms
              scrape_timeout: 200ms
            scrape_configs:
              - job_name: sluice
                scrape_interval: 200ms
                scrape_timeout: 200ms
                static_configs:
                  - targets: ["127.0.0.1:\(target)"]
                    labels: {instance: "test"}
            """
        let file = "\(directory.path)/prometheus.yml"
        try configuration.write(toFile: file, atomically: true, encoding: .utf8)
        let arguments = [
            "--config.file=\(file)", "--storage.tsdb.path=\(directory.path)/data",
            "--web.listen-address=127.0.0.1:\(port)",
        ]
        guard let child = ChildProcess("prometheus", arguments, logPath: "\(directory.path)/log") else {
            throw Failure(description: "prometheus is not in PATH: deploy/install --test installs it")
        }
        self.child = child
        guard waitUntil(timeout: .seconds(60), { isReady || !child.isRunning }), child.isRunning else {
            throw Failure(description: child.log)
        }
    }

    deinit { child.stop(SIGTERM) }

    private var isReady: Bool { (try? HTTPConnection(port: port).get("/-/ready").status) == 200 }

    /// The answer of an instant query.
    package func query(_ expression: String) throws -> WireJSON {
        try get("/api/v1/query?query=\(Self.encoded(expression))")
    }

    package func get(_ target: String) throws -> WireJSON {
        try HTTPConnection(port: port).get(target).json
    }

    /// The value of each series of an answer, by its labels without the name and those of the target.
    package func values(_ expression: String) throws -> [[String: String]: String] {
        var values: [[String: String]: String] = [:]
        for item in try query(expression)["data"]["result"].items {
            var labels: [String: String] = [:]
            for (name, value) in item["metric"].members where !["__name__", "instance", "job"].contains(name) {
                labels[name] = value.string
            }
            values[labels] = item["value"][1].string
        }
        return values
    }

    private static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain =
                byte < 0x80 && (Character(Unicode.Scalar(byte)).isLetter || Character(Unicode.Scalar(byte)).isNumber)
            return isPlain ? String(Unicode.Scalar(byte)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        .joined()
    }
}
