import Glibc
import NIOCore

/// The last looks at sockets that are about to be closed: what is closed unread is reset, and its sender never answered.
enum SocketRest {
    /// Lets nobody queue up at a listener any more, and gives the loop time to accept those who wait there.
    ///
    /// Closing it would reset them (Linux). Whoever tries to connect from now on hears nothing, tries again by itself after
    /// a second, and is then refused, so that it turns elsewhere: no connection is made that will not be served.
    static func quiet(listener channel: any Channel) async {
        try? await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) {
                dropAllPackets(to: $0)
            }
        }.get()
        try? await Task.sleep(for: .milliseconds(100))
    }

    /// Attaches a socket filter of one instruction, which takes nothing (socket(7), `SO_ATTACH_FILTER`).
    ///
    /// Connections that were accepted have sockets of their own and are not touched.
    private static func dropAllPackets(to listener: CInt) {
        // `struct sock_filter`: code BPF_RET | BPF_K, no jumps, k: how many bytes of the packet are let through.
        var program: UInt64 = 0x06
        withUnsafeMutablePointer(to: &program) { instructions in
            // `struct sock_fprog`: how many instructions, and where they are.
            var description: (count: UInt64, instructions: UnsafeMutablePointer<UInt64>) = (1, instructions)
            _ = setsockopt(
                listener,
                SOL_SOCKET,
                SO_ATTACH_FILTER,
                &description,
                socklen_t(MemoryLayout.size(ofValue: description))
            )
        }
    }

    /// Whether something has come that was not read yet.
    ///
    /// To be called on the channel's event loop.
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
