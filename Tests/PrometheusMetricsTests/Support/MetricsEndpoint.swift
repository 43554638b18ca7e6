import Foundation
import Glibc
import PrometheusMetrics
import ServerFixtures

/// Answers every request with what a registry renders, on a port of loopback.
final class MetricsEndpoint: Sendable {
    let port: UInt16
    private let listener: TestSocket
    private let isOpen = Shared(true)

    init(_ registry: PrometheusRegistry) throws {
        guard let listener = TestSocket.listen(port: 0) else {
            throw PrometheusServer.Failure(description: "no free port")
        }
        self.listener = listener
        port = listener.localPort
        Thread { [isOpen] in
            while isOpen.current {
                guard let peer = listener.accept(timeoutMilliseconds: 100) else { continue }
                while let line = peer.readLine(), !line.isEmpty {}
                let body = registry.render()
                peer.send(
                    """
                    HTTP/1.1 200 OK\r\nContent-Type: \(PrometheusRegistry.contentType)\r\n\
                    Content-Length: \(body.count)\r\nConnection: close\r\n\r\n
                    """
                )
                peer.send(body)
                peer.close()
            }
        }.start()
    }

    deinit { isOpen.withLock { $0 = false } }
}
