/// What a server's monitoring says of it at `/varz`, as far as durability depends on it.
package struct MonitorReport: Sendable, Equatable {
    /// For instance `2.10.22`.
    package private(set) var version = ""
    /// The id that the server greets with.
    package private(set) var serverID = ""
    /// Whether it syncs each message before it acknowledges it (`sync_interval: always`).
    package private(set) var syncsAlways = false

    /// Reads the JSON object; nil when it is malformed or names no server.
    package init?(_ json: [UInt8]) {
        let complete = json.withUnsafeBytes { bytes in
            var reader = JSONReader(bytes)
            return reader.readObject { reader, name in readMember(name, &reader) } && reader.isAtEnd
        }
        guard complete, !version.isEmpty, !serverID.isEmpty else { return nil }
    }

    private mutating func readMember(_ name: String, _ reader: inout JSONReader) -> Bool {
        switch name {
        case "version":
            guard let text = reader.readString() else { return false }
            version = text
        case "server_id":
            guard let text = reader.readString() else { return false }
            serverID = text
        case "jetstream":
            return reader.readObject { reader, name in
                guard name == "config" else { return reader.skipValue() }
                return reader.readObject { reader, name in
                    guard name == "sync_always" else { return reader.skipValue() }
                    guard let always = reader.readBool() else { return false }
                    syncsAlways = always
                    return true
                }
            }
        default: return reader.skipValue()
        }
        return true
    }
}

/// Whether a server of this version can sync before it acknowledges: 2.10 and later.
package func canSyncAlways(version: String) -> Bool {
    let parts = version.split(separator: ".").prefix(2).map { Int($0) }
    guard parts.count == 2, let major = parts[0], let minor = parts[1] else { return false }
    return major > 2 || (major == 2 && minor >= 10)
}
