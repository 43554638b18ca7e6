import ServerFixtures
import Testing

extension EndToEnd {
    /// HTTP/1.1 as clients use it: keep-alive, pipelining, chunks, interim answers, slow and half-closed senders.
    @Suite(.serialized, .sharedStacks) struct HTTPMechanicsTests {
        @Test func `a connection is kept for many requests`() throws {
            let connection = try StackPool.stack().gateway.connect()
            for _ in 0..<20 {
                #expect(try connection.exchange(TestEvent().structured()).status == 202)
                #expect(try connection.get("/health/live").status == 200)
                #expect(try connection.exchange(TestEvent(id: "").structured()).status == 400)
            }
        }

        @Test func `pipelined requests of every kind are answered in their order`() throws {
            let connection = try StackPool.stack().gateway.connect()
            let events = (0..<300).map { _ in TestEvent() }
            var bytes: [UInt8] = []
            for (index, event) in events.enumerated() {
                bytes += event.structured().bytes
                if index % 7 == 0 { bytes += HTTPRequest("GET", "/health").bytes }
                if index % 11 == 0 { bytes += TestEvent(id: "").binary().bytes }
                if index % 13 == 0 { bytes += HTTPRequest("GET", "/none").bytes }
            }
            try connection.send(bytes)
            for (index, event) in events.enumerated() {
                let answer = try connection.receive()
                #expect(answer.status == 202)
                #expect(answer.json["id"].string == event.id)
                if index % 7 == 0 { #expect(try connection.receive().json["status"].string == "healthy") }
                if index % 11 == 0 { #expect(try connection.receive().status == 400) }
                if index % 13 == 0 { #expect(try connection.receive().status == 404) }
            }
        }

        @Test(arguments: [1, 7, 100_000])
        func `a chunked body is one body`(size: Int) throws {
            let stack = try StackPool.stack()
            var request = TestEvent().structured()
            request.framing = .chunked(of: size)
            let connection = try stack.gateway.connect()
            let response = try connection.exchange(request)
            #expect(response.status == 202, "\(response.text)")
            let message = try stack.reader().message(response.json["sequence"].int ?? 0)
            #expect(try message?.event().attributes["id"] == response.json["id"].string)
            #expect(try connection.get("/health/live").status == 200)
        }

        @Test func `chunk extensions and trailer fields do not become part of the body`() throws {
            let connection = try StackPool.stack().gateway.connect()
            var request = TestEvent().structured()
            let body = String(decoding: request.body, as: UTF8.self)
            request.framing = .none
            request.headers.append(("Transfer-Encoding", "chunked"))
            try connection.send(request.head)
            let size = String(body.utf8.count, radix: 16)
            try connection.send("\(size);name=value\r\n\(body)\r\n0\r\nX-Late: yes\r\n\r\n")
            #expect(try connection.receive().status == 202)
            #expect(try connection.get("/health/live").status == 200)
        }

        @Test func `a client that waits for 100 Continue gets it and then its answer`() throws {
            let connection = try StackPool.stack().gateway.connect()
            var request = TestEvent().structured(headers: [("Expect", "100-continue")])
            let body = request.body
            request.framing = .none
            request.headers.append(("Content-Length", String(body.count)))
            try connection.send(request.head)
            #expect(try connection.receive().status == 100)
            try connection.send(body)
            #expect(try connection.receive().status == 202)
            #expect(try connection.get("/health/live").status == 200)
        }

        @Test func `a body that is too large is refused before it is asked for`() throws {
            let connection = try StackPool.stack().gateway.connect()
            try connection.send(
                """
                POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/cloudevents+json\r\n\
                Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n
                """
            )
            let response = try connection.receive()
            #expect(response.status == 413)
            #expect(response.json["limit"].int == 16 * 1024 * 1024)
        }

        @Test func `a body that comes byte by byte is read to its end`() throws {
            let connection = try StackPool.stack().gateway.connect()
            let bytes = TestEvent().structured().bytes
            for byte in bytes.dropLast() {
                try connection.send([byte])
                try #require(!connection.hasSomethingToRead(within: .milliseconds(2)), "answered before the end")
            }
            try connection.send(Array(bytes.suffix(1)))
            #expect(try connection.receive().status == 202)
        }

        @Test func `a client that closes its side after the request still gets the answer`() throws {
            let connection = try StackPool.stack().gateway.connect()
            try connection.send(TestEvent().structured())
            connection.closeForWriting()
            #expect(try connection.receive().status == 202)
            #expect(connection.isClosedByPeer())
        }

        @Test func `a client that goes away in the middle of a body leaves nothing behind`() throws {
            let stack = try StackPool.stack()
            let before = try stack.reader().lastSequence()
            do {
                let connection = try stack.gateway.connect()
                let bytes = TestEvent().structured().bytes
                try connection.send(Array(bytes.dropLast(3)))
                connection.closeForWriting()
                _ = connection.hasSomethingToRead(within: .seconds(2))
            }
            #expect(try stack.exchange(TestEvent().structured()).json["sequence"].int == before + 1)
        }

        @Test func `Connection close is honoured and announced`() throws {
            let connection = try StackPool.stack().gateway.connect()
            let response = try connection.exchange(TestEvent().structured(headers: [("Connection", "close")]))
            #expect(response.status == 202)
            #expect(response["Connection"]?.lowercased() == "close")
            #expect(connection.isClosedByPeer())
        }

        @Test func `an HTTP 1.0 client gets its answer and the end of the connection`() throws {
            let connection = try StackPool.stack().gateway.connect()
            var request = TestEvent().structured()
            request.version = "HTTP/1.0"
            let response = try connection.exchange(request)
            #expect(response.status == 202)
            #expect(response["Transfer-Encoding"] == nil)
            #expect(connection.isClosedByPeer())
        }

        /// Requests whose end two servers could see in different places (RFC 9112 §6.3, §11.2).
        static let ambiguous = [
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
            "Content-Length: -1\r\n\r\n", "Content-Length: 4x\r\n\r\nabcd", "Content-Length: 4, 5\r\n\r\nabcd",
            "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
            "Bad Name: x\r\nContent-Length: 0\r\n\r\n", "X: a\u{0}b\r\nContent-Length: 0\r\n\r\n",
        ]

        @Test(arguments: ambiguous)
        func `a request that is not framed clearly is refused and the connection closed`(rest: String) throws {
            let stack = try StackPool.stack()
            let before = try stack.reader().lastSequence()
            let connection = try stack.gateway.connect()
            let head = "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/cloudevents+json\r\n"
            try connection.send(head + rest)
            let response = try connection.receive()
            #expect((400..<500).contains(response.status))
            #expect(connection.isClosedByPeer())
            #expect(try stack.reader().lastSequence() == before)
            #expect(try stack.gateway.get("/health/live").status == 200)
        }
    }
}
