import Glibc
import NIOCore

/// The last looks at sockets that are about to be closed: what is closed unread is reset, and its sender never answered.
enum SocketRest {
    /// Lets nobody queue up at a listener any more, and gives the loop time to accept those who wait there: closing it would
    /// reset them (Linux). Whoever comes now connects elsewhere or tries again.
    static func quiet(listener channel: any Channel) async {
        try? await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
                _ = listen($0, 0)
            }
        }.get()
        try? await Task.sleep(for: .milliseconds(100))
    }

    /// Whether something has come that was not read yet. To be called on the channel's event loop.
    static func hasUnread(_ channel: any Channel) -> Bool {
        let waiting = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { descriptor in
            var byte: UInt8 = 0
            return recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) > 0
        }
        return waiting ?? false
    }
}
