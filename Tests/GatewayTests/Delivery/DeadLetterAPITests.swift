import ServerFixtures
import Testing

extension EndToEnd {
    /// The dead letters by HTTP.
    @Suite(.serialized, .deliveryStacks) struct DeadLetterAPITests {
        /// Rejects so many events of a new subscription.
        private static func reject(_ count: Int, _ client: DeliveryClient, id: String = "s") throws {
            try client.subscribe(id, #"{"protocol":"PULL"}"#)
            for _ in 0..<count { try client.publish(TestEvent()) }
            var left = count
            #expect(
                try waitUntil(timeout: .seconds(60)) {
                    let events = try client.receive(id, max: left, wait: 5)
                    if !events.isEmpty {
                        let done = try client.settle(id, "reject", events)
                        left -= done.json["succeededLockTokens"].items.count
                    }
                    return left == 0
                }
            )
        }

        @Test(arguments: NATSServer.available)
        func `dead letters are listed by subscription and reason, in pages, read and deleted`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            try Self.reject(5, client)
            var sequences: [Int] = []
            var target = "/v1/dead-letters?subscription=s&reason=rejected&limit=2"
            for _ in 0..<6 {
                let page = try client.call("GET", target)
                #expect(page.status == 200, "\(page.text)")
                sequences += page.json["items"].items.compactMap { $0["sequence"].int }
                guard let next = page.json["next"].string else { break }
                target = "/v1/dead-letters?subscription=s&reason=rejected&limit=2&after=\(next)"
            }
            #expect(sequences.count == 5 && sequences == sequences.sorted())
            #expect(try client.call("GET", "/v1/dead-letters?reason=gone").json["items"].items.isEmpty)
            #expect(try client.call("GET", "/v1/dead-letters?subscription=other").json["items"].items.isEmpty)
            let first = sequences[0]
            let read = try client.call("GET", "/v1/dead-letters/\(first)")
            #expect(read.status == 200)
            #expect(read.json["sequence"].int == first && read.json["subscription"].string == "s")
            // S-04
            let neighbour = client.neighbour
            #expect(try neighbour.call("GET", "/v1/dead-letters/\(first)").status == 404)
            #expect(try neighbour.call("DELETE", "/v1/dead-letters/\(first)").status == 404)
            #expect(try neighbour.call("GET", "/v1/dead-letters").json["items"].items.isEmpty)
            #expect(try client.call("DELETE", "/v1/dead-letters/\(first)").status == 204)
            #expect(try client.call("GET", "/v1/dead-letters/\(first)").status == 404)
            #expect(try client.call("DELETE", "/v1/dead-letters/\(first)").status == 404)
            #expect(try client.call("GET", "/v1/dead-letters/x").status == 400)
            let wrong = try client.call("GET", "/v1/dead-letters?reason=odd&limit=0&after=x&subscription=%2A")
            #expect(wrong.status == 400)
            #expect(wrong.json["violations"].items.count == 4, "\(wrong.text)")
        }

        @Test(arguments: NATSServer.available)
        func `redrive puts back what was chosen, after a dry run that does nothing`(binary: NATSServer.Binary) throws {
            let client = try DeliveryPool.client(binary)
            try Self.reject(4, client)
            let letters = try client.deadLetters("s")
            let dry = try client.call(
                "POST",
                "/v1/dead-letters:redrive",
                #"{"filter":{"subscription":"s","reason":"rejected"},"dryRun":true}"#
            )
            #expect(dry.json["matched"].int == 4 && dry.json["redriven"].int == 0, "\(dry.text)")
            #expect(try client.deadLetters("s").count == 4)
            let sequences = letters.prefix(2).compactMap { $0["sequence"].int }
            let some = try client.call(
                "POST",
                "/v1/dead-letters:redrive",
                "{\"sequences\":[\(sequences[0]),\(sequences[1]),999999999]}"
            )
            #expect(some.json["redriven"].int == 2 && some.json["failed"].int == 1, "\(some.text)")
            #expect(some.json["failures"][0]["sequence"].int == 999_999_999)
            let again = try client.receive("s", max: 10, wait: 20)
            #expect(!again.isEmpty)
            let limited = try client.call(
                "POST",
                "/v1/dead-letters:redrive",
                #"{"filter":{},"limit":1,"ratePerSecond":100}"#
            )
            #expect(limited.json["redriven"].int == 1, "\(limited.text)")
            #expect(try client.deadLetters("s").count == 1)
            // S-04: nobody puts back what is not theirs.
            let theirs = try client.neighbour.call("POST", "/v1/dead-letters:redrive", #"{"filter":{}}"#)
            #expect(theirs.json["matched"].int == 0)
            // Whose subscription is gone stays.
            #expect(try client.call("DELETE", "/v1/subscriptions/s").status == 204)
            let gone = try client.call("POST", "/v1/dead-letters:redrive", #"{"filter":{}}"#)
            #expect(gone.json["failed"].int == 1 && gone.json["redriven"].int == 0, "\(gone.text)")
        }

        @Test(arguments: NATSServer.available)
        func `what the subscription's filter lets through no more stays a dead letter, until it does again`(
            binary: NATSServer.Binary
        ) throws {
            let client = try DeliveryPool.client(binary)
            try client.subscribe("s", #"{"protocol":"PULL","types":["com.example.tested"]}"#)
            let event = TestEvent()
            try client.publish(event)
            let rejected = try client.settle("s", "reject", try client.receive("s", wait: 60))
            #expect(rejected.json["succeededLockTokens"].items.count == 1, "\(rejected.text)")
            let sequence = try #require(try client.letters()[0]["sequence"].int)

            try client.subscribe("s", #"{"protocol":"PULL","types":["com.example.other"]}"#)
            for body in ["{\"sequences\":[\(sequence)]}", #"{"filter":{"subscription":"s"}}"#] {
                for suffix in [#","dryRun":true}"#, "}"] {
                    let answer = try client.call("POST", "/v1/dead-letters:redrive", body.dropLast() + suffix)
                    #expect(answer.status == 200)
                    #expect(answer.json["redriven"].int == 0 && answer.json["failed"].int == 1, "\(answer.text)")
                    let failure = answer.json["failures"][0]
                    #expect(failure["sequence"].int == sequence)
                    #expect(failure["detail"].string?.contains("takes no events of this type any more") == true)
                }
            }
            #expect(try client.deadLetters("s").map { $0["sequence"].int } == [sequence])
            #expect(try client.unsettled("s") == 0)

            try client.subscribe("s", #"{"protocol":"PULL","types":["com.example.tested"]}"#)
            let answer = try client.call("POST", "/v1/dead-letters:redrive", "{\"sequences\":[\(sequence)]}")
            #expect(answer.json["redriven"].int == 1 && answer.json["failed"].int == 0, "\(answer.text)")
            let again = try client.receive("s", wait: 60)
            #expect(again.map { $0["event"]["id"].string } == [event.id])
            #expect(try client.settle("s", "acknowledge", again).json["succeededLockTokens"].items.count == 1)
            #expect(try client.deadLetters("s").isEmpty)
        }

        @Test func `a redrive is read strictly, and everything wrong is told at once`() throws {
            let client = try DeliveryPool.client()
            let bodies = [
                "{}", "[]", #"{"sequences":[1],"filter":{}}"#, #"{"sequences":[]}"#, #"{"sequences":[0]}"#,
                #"{"filters":{}}"#, #"{"filter":{"reasons":"gone"}}"#, #"{"filter":{},"dryrun":true}"#,
                #"{"filter":{},"dryRun":"true"}"#, #"{"filter":{},"limit":0}"#, #"{"filter":{},"ratePerSecond":0.5}"#,
                #"{"filter":{},"filter":{}}"#,
            ]
            for body in bodies {
                #expect(try client.call("POST", "/v1/dead-letters:redrive", body).status == 400, "\(body)")
            }
            let many = try client.call(
                "POST",
                "/v1/dead-letters:redrive",
                #"{"sequences":[-1,"x"],"limit":-1,"dryRun":1,"odd":1,"filter":{"reason":"odd","subscription":"*"}}"#
            )
            #expect(many.status == 400)
            #expect(many.json["violations"].items.count == 7, "\(many.text)")
        }
    }
}
