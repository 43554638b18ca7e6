import Foundation
import ServerFixtures
import Testing

extension EndToEnd {
    /// S-09: signatures by the rules of Standard Webhooks, judged by Python's hmac.
    @Suite(.serialized, .deliveryStacks) struct SignatureTests {
        private static func secret(_ byte: UInt8, count: Int = 32) -> String {
            "whsec_" + Data(repeating: byte, count: count).base64EncodedString()
        }

        private static func config(_ secrets: [String]) -> String {
            "\"signing\":{\"secrets\":[\(secrets.map(quoted).joined(separator: ","))]},\"backoff\":[2]"
        }

        /// Which of the secrets made a signature of each delivery, by position; -1 for an entry that none made.
        private static func signers(_ posts: [WebhookReceiver.Received], _ secrets: [String]) throws -> [[Int]] {
            let folder = TemporaryDirectory()
            let (program, input) = ("\(folder.path)/verify.py", "\(folder.path)/posts")
            try Data(Self.program.utf8).write(to: URL(fileURLWithPath: program))
            let lines = posts.map { post in
                let names = ["webhook-id", "webhook-timestamp", "webhook-signature"]
                let fields = names.map { quoted(post[$0] ?? "") } + [quoted(Data(post.body).base64EncodedString())]
                return "[\(fields.joined(separator: ","))]"
            }
            try Data(lines.joined(separator: "\n").utf8).write(to: URL(fileURLWithPath: input))
            return try PythonProgram.run(program, arguments: [input] + secrets).map { line in
                try WireJSON(parsing: Array(line.utf8)).items.compactMap(\.int)
            }
        }

        @Test(arguments: ["binary", "structured"])
        func `two secrets make two signatures, over what is sent, with one id and each attempt's own time`(
            mode: String
        ) throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver { _, before in .status(before == 0 ? 500 : 200) }
            let secrets = [Self.secret(1, count: 24), Self.secret(2, count: 64)]
            try client.push(to: receiver, config: [Self.config(secrets), "\"contentMode\":\(quoted(mode))"])
            var event = TestEvent()
            event.data = #"{"text":"é","n":1.0}"#
            try client.publish(event)
            #expect(receiver.hasGot(2))
            let (first, second) = (receiver.posts[0], receiver.posts[1])
            #expect(try Self.signers(receiver.posts, secrets) == [[0, 1], [0, 1]])
            let id = try #require(first["webhook-id"])
            #expect(id == second["webhook-id"])
            #expect(!id.isEmpty && !id.contains("."))
            let times = [first, second].compactMap { $0["webhook-timestamp"].flatMap { Int($0) } }
            #expect(times.count == 2 && times[1] > times[0], "\(times)")
            #expect(abs(times[0] - Int(Date().timeIntervalSince1970)) < 300)
            try client.publish(TestEvent())
            #expect(receiver.hasGot(3))
            #expect(receiver.posts[2]["webhook-id"] != id)
        }

        @Test func `a rotation never leaves a delivery that neither secret verifies`() throws {
            let client = try DeliveryPool.client()
            let receiver = try WebhookReceiver()
            let (old, new) = (Self.secret(3), Self.secret(4))
            var count = 0
            for secrets in [[old], [old, new], [new]] {
                try client.push(to: receiver, config: [Self.config(secrets)])
                // The change is in force when a delivery shows it.
                let wanted = secrets.map { $0 == old ? 0 : 1 }
                let isInForce = try waitUntil(timeout: .seconds(30)) {
                    try client.publish(TestEvent())
                    count += 1
                    guard receiver.hasGot(count) else { return false }
                    return try Self.signers(receiver.posts, [old, new]).last == wanted
                }
                #expect(isInForce)
            }
            let found = try Self.signers(receiver.posts, [old, new])
            #expect(found.allSatisfy { !$0.isEmpty && !$0.contains(-1) }, "\(found)")
        }

        @Test func `secrets that are none are refused, and never shown in the answer`() throws {
            let client = try DeliveryPool.client()
            let wrong = [
                "whsec_c2hvcnQtc2VjcmV0", "c2VjcmV0LXdpdGhvdXQtcHJlZml4LXNlY3JldA==", "whsec_!notbase64!notbase64!",
                Self.secret(7, count: 65), Self.secret(7, count: 23),
            ]
            for secret in wrong {
                let hook = DeliveryClient.hook("http://127.0.0.1:9000/", config: [Self.config([secret])])
                let answer = try client.call("POST", "/v1/subscriptions", hook)
                #expect(answer.status == 400)
                #expect(answer.pointers == ["/config/signing/secrets/0"], "\(answer.text)")
                #expect(!answer.text.contains(secret.dropFirst(8).prefix(10)), "S-25")
            }
            let three = (1...3).map { Self.secret($0) }
            let hook = DeliveryClient.hook("http://127.0.0.1:9000/", config: [Self.config(three)])
            #expect(try client.call("POST", "/v1/subscriptions", hook).status == 400)
        }

        private static let program = #"""
            import base64, hashlib, hmac, json, sys

            keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in sys.argv[2:]]
            for line in open(sys.argv[1]):
                id, time, signatures, body = json.loads(line)
                content = f"{id}.{time}.".encode() + base64.b64decode(body)
                right = ["v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys]
                print(json.dumps([right.index(given) if given in right else -1 for given in signatures.split()]))
            """#
    }
}
