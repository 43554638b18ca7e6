import SluiceGateway

extension Setting {
    /// How events are delivered, and to which sinks.
    static let delivery: [Setting] = [
        Setting("MAX_DELIVER_ATTEMPTS", "count", default: "5", "delivery attempts of a subscription that says nothing")
        {
            text,
            target throws(SettingFault) in
            target.gateway.maxDeliverAttempts = Int(try SettingText.count(text, 1...100))
        },
        Setting("SINK_ALLOW_NETWORKS", "cidr,…|none", default: "none", "private networks that sinks may live in") {
            text,
            target throws(SettingFault) in
            target.gateway.sinkNetworks = try SettingText.networks(text)
        },
        Setting("SINK_ALLOW_HTTP", "true|false", default: "false", "allow sinks without TLS") {
            text,
            target throws(SettingFault) in target.gateway.sinkAllowsHTTP = try SettingText.boolean(text)
        },
        Setting("SINK_HANDSHAKE", "required|off", default: "required", "the CloudEvents webhook handshake") {
            text,
            target throws(SettingFault) in target.gateway.sinkHandshake = try SettingText.choice(text)
        },
        Setting("SINK_ORIGIN", "name", default: "auto", "who asks sinks for consent, a DNS name; auto: the host's name")
        {
            text,
            target throws(SettingFault) in
            target.gateway.sinkOrigin = try SettingText.automatic(text) { text throws(SettingFault) in
                try SettingText.host(text)
            }
        },
        Setting("SINK_TIMEOUT", "seconds", default: "30", "how long a sink may take to answer") {
            text,
            target throws(SettingFault) in
            target.gateway.sinkTimeoutSeconds = try SettingText.seconds(text, 0.1...600)
        },
        Setting("SINK_CA_FILE", "path", default: "", "further trusted roots (PEM) for sinks with TLS") {
            text,
            target throws(SettingFault) in target.gateway.sinkCAFile = text
        },
        Setting("PUBLIC_URL", "url", default: "", "the gateway's address for sinks that consent by callback") {
            text,
            target throws(SettingFault) in target.gateway.publicURL = try SettingText.publicURL(text)
        },
        Setting("MAX_SUBSCRIPTIONS", "count", default: "1000", "most subscriptions of a tenant") {
            text,
            target throws(SettingFault) in
            target.gateway.maxSubscriptions = Int(try SettingText.count(text, 1...100_000))
        },
    ]
}
