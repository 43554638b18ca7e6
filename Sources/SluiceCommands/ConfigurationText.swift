import EventBus
import Glibc
import Logging
import RedisStore
import SluiceGateway

/// Readers of single values: text in, value or the reason against it out.
///
/// They are strict: what is close to a number
/// but not one is refused, never guessed.
enum SettingText {
    /// The longest time JetStream can hold in nanoseconds is 292 years; a hundred are enough.
    static let secondsMax: Int64 = 3_155_760_000

    static func integer(_ text: String, _ range: ClosedRange<Int64>, _ noun: String) throws(SettingFault) -> Int64 {
        let digits = text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
        guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else {
            throw SettingFault("is not \(noun)")
        }
        guard let value = Int64(text), range.contains(value) else { throw SettingFault("is not \(noun)") }
        return value
    }

    static func count(_ text: String, _ range: ClosedRange<Int64>) throws(SettingFault) -> Int64 {
        try integer(text, range, "a whole number from \(range.lowerBound) to \(range.upperBound)")
    }

    static func limit(_ text: String) throws(SettingFault) -> Int64 {
        let value = try integer(text, -1...Int64.max, "a whole number above 0, or -1 for no limit")
        guard value != 0 else { throw SettingFault("is not a whole number above 0, or -1 for no limit") }
        return value
    }

    static func wholeSeconds(_ text: String, _ range: ClosedRange<Int64>) throws(SettingFault) -> Int64 {
        let value = try integer(text, Int64.min...Int64.max, "a whole number of seconds")
        guard range.contains(value) else {
            throw SettingFault("is not between \(range.lowerBound) and \(range.upperBound) seconds")
        }
        return value
    }

    static func seconds(_ text: String, _ range: ClosedRange<Double>) throws(SettingFault) -> Double {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        let areDigits = parts.allSatisfy { part in !part.isEmpty && part.allSatisfy { (0x30...0x39).contains($0) } }
        guard areDigits, text.utf8.count <= 32, let value = Double(text) else {
            throw SettingFault("is not a number of seconds")
        }
        guard range.contains(value) else {
            throw SettingFault("is not between \(plain(range.lowerBound)) and \(plain(range.upperBound)) seconds")
        }
        return value
    }

    private static func plain(_ value: Double) -> String {
        value == value.rounded() ? String(Int(value)) : "\(value)"
    }

    /// A number of bytes, with an optional binary unit: `65536`, `64KiB`, `16 MiB`.
    static func bytes(_ text: String, _ range: ClosedRange<Int64>) throws(SettingFault) -> Int64 {
        let units: [(name: String, shift: Int64)] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)]
        let unit = units.first { text.hasSuffix($0.name) }
        var number = text[...]
        if let unit {
            number = number.dropLast(unit.name.count)
            if number.last == " " { number = number.dropLast() }
        }
        let noun = "a number of bytes (like 65536, 64KiB or 16MiB)"
        let value = try integer(String(number), Int64.min...Int64.max, noun)
        let (product, overflow) = value.multipliedReportingOverflow(by: 1 << (unit?.shift ?? 0))
        guard !overflow, range.contains(product) else {
            throw SettingFault("is not between \(range.lowerBound) and \(range.upperBound) bytes")
        }
        return product
    }

    static func byteLimit(_ text: String) throws(SettingFault) -> Int64 {
        if text == "-1" { return -1 }
        let value = try bytes(text, 0...Int64.max)
        guard value > 0 else { throw SettingFault("is not a number of bytes above 0, or -1 for no limit") }
        return value
    }

    static func boolean(_ text: String) throws(SettingFault) -> Bool {
        switch text.lowercased() {
        case "true", "yes", "on", "1": return true
        case "false", "no", "off", "0": return false
        default: throw SettingFault("is neither true nor false")
        }
    }

    static func automatic<Value>(
        _ text: String,
        _ read: (String) throws(SettingFault) -> Value
    ) throws(SettingFault) -> Value? {
        text == "auto" ? nil : try read(text)
    }

    static func choice<Value: RawRepresentable & CaseIterable>(_ text: String) throws(SettingFault) -> Value
    where Value.RawValue == String {
        guard let value = Value(rawValue: text) else {
            throw SettingFault("is not one of: " + Value.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return value
    }

    static func logLevel(_ text: String) throws(SettingFault) -> Logger.Level {
        let text = text.lowercased()
        return try choice(text == "warn" ? "warning" : text)
    }

    static func replicas(_ text: String) throws(SettingFault) -> Int {
        let value = try integer(text, 1...5, "1, 3 or 5")
        guard value % 2 == 1 else { throw SettingFault("is not 1, 3 or 5") }
        return Int(value)
    }
}

extension SettingText {
    /// A name of a JetStream stream: letters, digits, `-` and `_`, at most 255.
    static func streamName(_ text: String) throws(SettingFault) -> String {
        guard text.utf8.count <= 255, text.utf8.allSatisfy(isNameByte) else {
            throw SettingFault("is not a stream name (letters, digits, - and _, at most 255)")
        }
        return text
    }

    /// Subject tokens separated by dots.
    ///
    /// First tokens that other subjects of Sluice and NATS use are refused.
    static func subjectPrefix(_ text: String) throws(SettingFault) -> String {
        let tokens = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard text.utf8.count <= 128, tokens.allSatisfy({ !$0.isEmpty && $0.allSatisfy(isNameByte) }) else {
            throw SettingFault("is not a subject prefix (tokens of letters, digits, - and _, separated by dots)")
        }
        let taken = ["dl", "audit", "_INBOX"]
        if let first = tokens.first, let other = taken.first(where: { $0.utf8.elementsEqual(first) }) {
            throw SettingFault("starts with '\(other)', which is used for other subjects")
        }
        return text
    }

    /// A short name: printable ASCII, at most 128 bytes.
    static func label(_ text: String) throws(SettingFault) -> String {
        guard text.utf8.count <= 128, text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            throw SettingFault("is not a name of at most 128 printable ASCII characters")
        }
        return text
    }

    /// A host name or an IP address, without brackets.
    static func host(_ text: String) throws(SettingFault) -> String {
        let allowed = text.utf8.allSatisfy { isNameByte($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: ":") }
        guard allowed, text.utf8.count <= 253 else { throw SettingFault("is not a host name or an IP address") }
        return text
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }

    static func natsServers(_ text: String) throws(SettingFault) -> [String] {
        var servers: [String] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let server = String(part.trimmingSpaces)
            guard let address = ServerAddress(url: server, schemes: ["nats"], defaultPort: 4222) else {
                if server.hasPrefix("tls://") { throw SettingFault("asks for TLS, which is not supported") }
                throw SettingFault("is not a list of NATS URLs (like nats://localhost:4222)")
            }
            guard !address.hasPath else { throw SettingFault("has a path; a NATS URL has none") }
            servers.append(server)
        }
        return servers
    }

    /// HTTP URLs of nats-servers' monitoring.
    static func monitors(_ text: String) throws(SettingFault) -> [MonitorAddress] {
        var monitors: [MonitorAddress] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let address = ServerAddress(url: String(part.trimmingSpaces), schemes: ["http"], defaultPort: 8222),
                address.userInfo == nil
            else { throw SettingFault("is not a list of HTTP URLs (like http://localhost:8222)") }
            monitors.append(MonitorAddress(host: address.host, port: address.port, path: address.path))
        }
        return monitors
    }

    /// A Redis URL, or `nil` for `off`.
    static func redisURL(_ text: String) throws(SettingFault) -> String? {
        guard text != "off" else { return nil }
        do throws(RedisURLError) {
            _ = try RedisConfiguration(url: text)
        } catch {
            throw SettingFault("is neither off nor a Redis URL (like redis://localhost:6379): \(error)")
        }
        return text
    }

    /// An absolute http(s) address without a query; a slash at its end is dropped.
    static func publicURL(_ text: String) throws(SettingFault) -> String {
        let url: SinkURL
        do {
            url = try SinkURL(text)
        } catch {
            throw SettingFault("is not an http or https address: \(error.detail)")
        }
        if url.target.contains("?") { throw SettingFault("has a query") }
        return text.hasSuffix("/") ? String(text.dropLast()) : text
    }

    /// The networks of a comma-separated list; `none` is an empty one.
    static func networks(_ text: String) throws(SettingFault) -> [String] {
        try checkNetworks(text)
        if text == "none" { return [] }
        return text.split(separator: ",").map { String($0.trimmingSpaces) }
    }

    private static func checkNetworks(_ text: String) throws(SettingFault) {
        guard text != "none" else { return }
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let network = String(part.trimmingSpaces)
            guard isNetwork(network) else {
                throw SettingFault(
                    "is not a list of networks (like 10.0.0.0/8,fd00::/8): see \(SafeText.quoted(network))"
                )
            }
        }
    }

    private static func isNetwork(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else { return false }
        var storage = in6_addr()
        let bits: Int64
        if inet_pton(AF_INET, parts[0], &storage) == 1 {
            bits = 32
        } else if inet_pton(AF_INET6, parts[0], &storage) == 1 {
            bits = 128
        } else {
            return false
        }
        return (try? integer(parts[1], 0...bits, "")) != nil
    }
}

extension Substring {
    /// The text without spaces at its ends.
    var trimmingSpaces: Substring {
        let head = drop { $0 == " " }
        return head.lastIndex { $0 != " " }.map { head[...$0] } ?? ""
    }
}
