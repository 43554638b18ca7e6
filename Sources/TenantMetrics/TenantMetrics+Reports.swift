import RedisStore

extension TenantMetrics {
    /// Tenants that one round trip reads: enough to hide its latency, few enough not to delay a flush.
    private static let tenantsPerRead = 16
    /// Minutes of series after which a list ends early.
    private static let minutesPerList = 50_000

    /// The totals of a tenant, all zero for one that was never seen.
    ///
    /// - Parameter unixSeconds: The time at which the last 24 hours end, now if none is given.
    public func report(
        of tenant: String,
        at unixSeconds: Int64? = nil
    ) async throws(TenantMetricsError) -> TenantReport {
        let query = ReportQuery(tenant: tenant, keys: keys, unixSeconds: unixSeconds ?? WallClock.unixSeconds())
        return try query.report(await read(query.commands))
    }

    /// The totals of all tenants in the order of their names (by bytes), a page at a time.
    ///
    /// - Parameters:
    ///   - after: The name after which the page starts: the last page's `next`.
    ///   - limit: Tenants in the page, 1 to 1000; it holds fewer if their series are long, to bound memory.
    /// - Returns: The page, and the name to go on after, `nil` at the end.
    public func reports(
        after: String?,
        limit: Int,
        at unixSeconds: Int64? = nil
    ) async throws(TenantMetricsError) -> (items: [TenantReport], next: String?) {
        let now = unixSeconds ?? WallClock.unixSeconds()
        let limit = min(max(limit, 1), 1000)
        let names = try await tenantNames(after: after, limit: limit + 1)
        var items: [TenantReport] = []
        var minutes = 0
        while items.count < min(names.count, limit), minutes < Self.minutesPerList {
            let last = min(items.count + Self.tenantsPerRead, names.count, limit)
            let queries = names[items.count..<last].map { ReportQuery(tenant: $0, keys: keys, unixSeconds: now) }
            let replies = try await read(queries.flatMap(\.commands))
            for (index, query) in queries.enumerated() {
                let first = index * ReportQuery.commandCount
                let report = try query.report(replies[first..<first + ReportQuery.commandCount])
                minutes += report.series.count
                items.append(report)
            }
        }
        return (items, items.count < names.count ? items.last?.tenant : nil)
    }

    /// The names after one, in order; what cannot be a tenant's name is left out.
    private func tenantNames(after: String?, limit: Int) async throws(TenantMetricsError) -> [String] {
        var names: [String] = []
        var start = after.map { Array("(".utf8) + Array($0.utf8) } ?? Array("-".utf8)
        while names.count < limit {
            let arguments = [keys.tenants, start, Array("+".utf8)] + ["LIMIT", "0", "\(limit)"].map { Array($0.utf8) }
            let replies = try await read([RedisCommand("ZRANGEBYLEX", arguments)])
            guard let items = try ReportQuery.items(replies[0]) else {
                throw .refused("the index of tenants is foreign")
            }
            for item in items {
                guard case .bytes(let bytes) = item else { continue }
                start = Array("(".utf8) + bytes
                guard let name = String(validating: bytes, as: UTF8.self), !name.isEmpty,
                    bytes.count <= TenantBounds.tenantBytes
                else { continue }
                names.append(name)
            }
            if items.count < limit { break }
        }
        return Array(names.prefix(limit))
    }

    /// As many replies as commands, or an error.
    private func read(_ commands: [RedisCommand]) async throws(TenantMetricsError) -> [RedisReply] {
        let replies: [RedisReply]
        do throws(RedisError) {
            replies = try await client.run(commands)
        } catch {
            throw .unavailable("\(error)")
        }
        guard replies.count == commands.count else { throw .refused("fewer replies than commands") }
        return replies
    }
}
