/// Which names and values of fields can be sent (RFC 9110 §5.1, §5.5).
enum FieldRules {
    static func isName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { isToken[Int($0)] }
    }

    /// Visible characters, blanks and tabs, and bytes above ASCII; no blank at either end.
    static func isValue(_ value: String) -> Bool {
        var value = value
        return value.withUTF8 { bytes in
            guard let first = bytes.first, let last = bytes.last else { return true }
            guard first > 0x20, last > 0x20 else { return false }
            for byte in bytes where byte < 0x20 && byte != 0x09 || byte == 0x7F { return false }
            return true
        }
    }

    /// Fields that frame the message or concern the connection alone.
    static func isReserved(_ name: String) -> Bool {
        switch name.lowercased() {
        case "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-connection", "te",
            "trailer", "transfer-encoding", "upgrade":
            true
        default: false
        }
    }

    static let isToken: [Bool] = (0..<256).map { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(UInt8(byte))
        }
    }
}
