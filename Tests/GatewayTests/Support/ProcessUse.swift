import Foundation
import ServerFixtures
import Testing

/// What a gateway takes from the system at one moment.
struct ProcessUse: CustomStringConvertible {
    let residentBytes: Int
    let descriptors: Int
    let threads: Int

    init(_ gateway: GatewayProcess) throws {
        residentBytes = gateway.residentBytes
        descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(gateway.pid)/fd").count
        let status = try String(contentsOfFile: "/proc/\(gateway.pid)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("Threads:") }
        threads = try #require(line?.split(whereSeparator: \.isWhitespace).last.flatMap { Int($0) })
    }

    var description: String { "\(residentBytes >> 20) MiB, \(descriptors) descriptors, \(threads) threads" }
}
