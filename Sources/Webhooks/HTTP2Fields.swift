import NIOHPACK

/// The fields of requests and answers as HTTP/2 has them (RFC 9113 §8).
enum HTTP2Fields {
    static func headers(of request: WebhookRequest) -> HPACKHeaders {
        let sink = request.sink
        var headers = HPACKHeaders()
        headers.reserveCapacity(6 + sink.fields.count + request.fields.count)
        headers.add(name: ":method", value: sink.method)
        headers.add(name: ":scheme", value: sink.url.isSecure ? "https" : "http")
        headers.add(name: ":authority", value: sink.url.authority)
        headers.add(name: ":path", value: sink.url.target, indexing: .nonIndexable)
        for field in sink.fields {
            let name = field.name.lowercased()
            // What an attacker might guess at by the size of what is sent (RFC 7541 §7.1).
            headers.add(name: name, value: field.value, indexing: name == "user-agent" ? .indexable : .neverIndexed)
        }
        for field in request.fields {
            headers.add(name: field.name.lowercased(), value: field.value, indexing: .nonIndexable)
        }
        let count = request.body.count
        if count > 0 || sink.needsLength {
            headers.add(name: "content-length", value: String(count), indexing: .nonIndexable)
        }
        return headers
    }

    static func response(_ status: Int, _ headers: HPACKHeaders, wanted: [String]) -> WebhookResponse {
        var response = WebhookResponse(status: status, isHTTP2: true)
        if let delay = headers.first(name: "retry-after") {
            response.retryAfter = RetryAfter.delay(delay, now: SystemCalls.unixTime())
        }
        guard !wanted.isEmpty else { return response }
        for header in headers where wanted.contains(header.name) {
            response.fields.append(.init(name: header.name, value: header.value))
        }
        return response
    }
}
