/// Places in the order in which they came; taking the first moves nothing.
struct PlaceQueue: Sendable {
    private var items: ContiguousArray<Int32> = []
    private var head = 0

    var isEmpty: Bool { head == items.count }

    var first: Int? { head < items.count ? Int(items[head]) : nil }

    mutating func append(_ place: Int) {
        items.append(Int32(place))
    }

    mutating func removeFirst() {
        head += 1
        if head == items.count {
            removeAll()
        } else if head >= 64, head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
    }

    mutating func removeAll() {
        items.removeAll(keepingCapacity: true)
        head = 0
    }

    /// Keeps those for which `isKept` holds.
    mutating func filter(_ isKept: (Int) -> Bool) {
        items.removeFirst(head)
        head = 0
        items.removeAll { !isKept(Int($0)) }
    }
}
