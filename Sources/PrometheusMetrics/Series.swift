/// The values of one metric with one set of labels, and how they are written.
protocol Series: AnyObject, Sendable {
    /// An upper bound of the bytes it writes.
    var textSizeMax: Int { get }

    /// Appends its samples, each on a line. Reads every value once; never waits.
    func write(to body: inout [UInt8])
}

/// The longest number that a sample can have, with its newline: `-2.2250738585072014e-308`.
let numberSizeMax = 25
