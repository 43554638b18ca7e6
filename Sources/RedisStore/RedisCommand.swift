/// One command with its arguments, each a string of any bytes.
///
/// It goes out as an argument vector: nothing in an argument is ever read as a format or as protocol (H-09, S-36).
public struct RedisCommand: Sendable {
    /// All arguments one behind the other, the name first.
    private(set) var bytes: [UInt8]
    /// Where each argument ends in `bytes`.
    private(set) var ends: [Int]

    /// A command without arguments; `name` is one word, such as `PING`.
    public init(_ name: StaticString) {
        bytes = name.withUTF8Buffer { Array($0) }
        ends = [bytes.count]
    }

    /// A command with these arguments; a second word such as `SETNAME` in `CLIENT SETNAME` is the first of them.
    public init(_ name: StaticString, _ arguments: [[UInt8]]) {
        self.init(name)
        bytes.reserveCapacity(arguments.reduce(bytes.count) { $0 + $1.count })
        ends.reserveCapacity(arguments.count + 1)
        for argument in arguments { append(argument) }
    }

    /// A command with the UTF-8 of these arguments.
    public init(_ name: StaticString, _ arguments: [String]) {
        self.init(name)
        for argument in arguments { append(argument) }
    }

    /// A command with the UTF-8 of these arguments.
    public init(_ name: StaticString, _ first: String, _ rest: String...) {
        self.init(name, [first] + rest)
    }

    /// Adds an argument.
    public mutating func append(_ argument: some Sequence<UInt8>) {
        bytes.append(contentsOf: argument)
        ends.append(bytes.count)
    }

    /// Adds the UTF-8 of a text as an argument.
    public mutating func append(_ argument: String) {
        bytes.append(contentsOf: argument.utf8)
        ends.append(bytes.count)
    }

    /// Adds a number in decimal as an argument.
    public mutating func append(_ argument: some FixedWidthInteger) { append(String(argument)) }

    /// About what it takes in memory and on the wire, bytes.
    var cost: Int { bytes.count + 16 * ends.count }
}
