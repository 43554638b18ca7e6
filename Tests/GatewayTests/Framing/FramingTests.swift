import ServerFixtures
import Testing

extension EndToEnd {
    /// S-12, S-15, S-35: HTTP/1.1 as it must not be sent, byte for byte, on both paths through the gateway.
    ///
    /// The rows are the requirements of RFC 9112 and RFC 9110 on a server that Http11Probe checks, and the payloads
    /// that are known for request smuggling.
    @Suite(.serialized, .sharedStacks) struct FramingTests {
        private func run(_ probe: FramingProbe, _ path: FramingProbe.Path) throws {
            let stack = try StackPool.stack()
            for sending in FramingProbe.Sending.allCases {
                try probe.run(on: path, sending, against: stack)
            }
        }

        @Test(arguments: FramingProbe.lengths, FramingProbe.Path.allCases)
        func `S-12: Content-Length and Transfer-Encoding`(probe: FramingProbe, path: FramingProbe.Path) throws {
            try run(probe, path)
        }

        @Test(arguments: FramingProbe.smuggling, FramingProbe.Path.allCases)
        func `S-12: a request in another's body is no request`(probe: FramingProbe, path: FramingProbe.Path) throws {
            try run(probe, path)
        }

        @Test(arguments: FramingProbe.chunking, FramingProbe.Path.allCases)
        func `S-12: chunked bodies`(probe: FramingProbe, path: FramingProbe.Path) throws {
            try run(probe, path)
        }

        @Test(arguments: FramingProbe.fieldLines, FramingProbe.Path.allCases)
        func `S-12: field lines`(probe: FramingProbe, path: FramingProbe.Path) throws {
            try run(probe, path)
        }

        @Test(arguments: FramingProbe.requestLines, FramingProbe.Path.allCases)
        func `S-12: request lines`(probe: FramingProbe, path: FramingProbe.Path) throws {
            try run(probe, path)
        }

        @Test(arguments: FramingProbe.hosts, FramingProbe.Path.allCases)
        func `S-12: Host and the target's authority`(probe: FramingProbe, path: FramingProbe.Path) throws {
            try run(probe, path)
        }

        @Test(arguments: FramingProbe.connections, FramingProbe.Path.allCases)
        func `S-12: what ends a connection, and what does not`(probe: FramingProbe, path: FramingProbe.Path) throws {
            try run(probe, path)
        }

        @Test(arguments: FramingProbe.compressed)
        func `S-15: a compressed body is refused unread`(probe: FramingProbe) throws {
            try run(probe, .publishing)
        }

        @Test(arguments: FramingProbe.targets)
        func `S-35: methods and paths nobody should send`(probe: FramingProbe) throws {
            try run(probe, .publishing)
        }
    }
}
