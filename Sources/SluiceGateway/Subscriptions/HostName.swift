import Glibc

extension SinkConsents.Settings {
    /// The settings of a configuration; without an origin of its own it is the host's name.
    init(_ configuration: GatewayConfiguration) {
        var url = configuration.publicURL
        while url?.last == "/" { url?.removeLast() }
        self.init(
            isRequired: configuration.sinkHandshake == .required,
            origin: configuration.sinkOrigin ?? Self.hostName,
            publicURL: url,
            timeout: .milliseconds(Int64(min(configuration.sinkTimeoutSeconds, 10) * 1000))
        )
    }

    /// The host's name, as far as it can stand in a header field.
    private static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "sluice" }
        let name = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let isName = name.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        return name.isEmpty || !isName ? "sluice" : String(decoding: name, as: UTF8.self)
    }
}
