extension ServerInfo {
    /// Whether the server's version is this one or a later one; false if it is not known.
    package func isAtLeast(_ major: Int, _ minor: Int, _ patch: Int = 0) -> Bool {
        let release = version.prefix { $0 != "-" && $0 != "+" }
        let parts = release.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count >= 2, let foundMajor = parts[0], let foundMinor = parts[1] else { return false }
        let foundPatch = parts.count > 2 ? parts[2] ?? 0 : 0
        return (foundMajor, foundMinor, foundPatch) >= (major, minor, patch)
    }
}
