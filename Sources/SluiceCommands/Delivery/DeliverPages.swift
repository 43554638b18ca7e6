import NIOHTTP1

/// Reads a list of the API page by page.
struct DeliverPages: Sendable {
    /// Items of a page, at most.
    static let pageMax = 100

    /// The list's path.
    let path: String
    /// What filters the list.
    var filters: [(name: String, value: String?)] = []
    /// Where to go on; `nil` before the first page and after the last.
    private(set) var cursor: String?
    /// Whether there is nothing more.
    private(set) var isAtEnd = false

    /// - Parameter after: The cursor to begin behind.
    init(path: String, filters: [(name: String, value: String?)] = [], after: String? = nil) {
        self.path = path
        self.filters = filters
        cursor = after
    }

    /// The next items; a page may be empty before the end.
    ///
    /// - Throws: ``CommandFailure``, also when the answer is not a page or its cursor does not move on.
    mutating func next(
        _ client: inout GatewayClient,
        limit: Int = DeliverPages.pageMax
    ) async throws(CommandFailure) -> [JSONSlice] {
        let parameters = filters + [("limit", String(min(limit, Self.pageMax))), ("after", cursor)]
        let answer = try await client.send(.GET, DeliverPath.query(path, parameters))
        guard let body = try? JSONSlice(parsing: answer.body), let items = body["items"]?.elements else {
            throw CommandFailure("\(client.name): the answer is not a page of a list", code: ExitStatus.unavailable)
        }
        let next = body["next"].flatMap { $0.isNull ? nil : $0.string ?? $0.integer.map(String.init) }
        if next != nil, next == cursor {
            throw CommandFailure("\(client.name): the list does not go on", code: ExitStatus.unavailable)
        }
        cursor = next
        isAtEnd = next == nil
        return items
    }

    /// Calls `body` with every item until the end, or until `limit` of them were seen.
    ///
    /// - Returns: The cursor behind the last item seen, if there is more.
    mutating func forEach(
        _ client: inout GatewayClient,
        limit: Int,
        _ body: (JSONSlice) -> Void
    ) async throws(CommandFailure) -> String? {
        var left = limit
        while !isAtEnd, left > 0 {
            let items = try await next(&client, limit: left)
            items.prefix(left).forEach(body)
            left -= items.count
        }
        return cursor
    }
}
