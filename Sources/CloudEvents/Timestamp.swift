/// A point in time as RFC 3339 writes it, with the text it came in.
///
/// The offset, every fraction digit and a leap second stay in ``text`` and are forwarded as they are. Comparison is by
/// the instant: `12:00:00Z` equals `14:00:00.0+02:00`, and `23:59:60Z` lies between its neighbours.
///
/// Source: RFC 3339 section 5.6 (`date-time`), CloudEvents 1.0 "Type System".
public struct Timestamp: Sendable {
    /// The text as it came.
    public let text: String
    /// Whole seconds since 1970-01-01T00:00:00Z, not counting leap seconds; a leap second has its predecessor's number.
    public let secondsSinceEpoch: Int64
    /// Whether this is a second 60.
    public let isLeapSecond: Bool

    /// Reads an RFC 3339 date-time; `nil` if the text is anything else.
    ///
    /// The offset is required, `t` and `z` may be lower case, the fraction has any number of digits, and a second 60 is
    /// taken only at 23:59 UTC.
    public init?(_ text: String) {
        var copy = text
        guard let parsed = copy.withUTF8({ TimestampReader.read($0) }) else { return nil }
        self.text = text
        secondsSinceEpoch = parsed.seconds
        isLeapSecond = parsed.isLeapSecond
    }

    /// Makes the UTC text of an instant; `nil` outside the years 0000–9999 or 0…999,999,999 nanoseconds.
    public init?(secondsSinceEpoch seconds: Int64, nanoseconds: Int32 = 0) {
        guard Self.isWritable(seconds, nanoseconds) else { return nil }
        text = TimestampReader.write(seconds: seconds, nanoseconds: Int(nanoseconds))
        secondsSinceEpoch = seconds
        isLeapSecond = false
    }

    /// Whether RFC 3339 has a text for this instant.
    fileprivate static func isWritable(_ seconds: Int64, _ nanoseconds: Int32) -> Bool {
        (0...999_999_999).contains(nanoseconds) && (-62_167_219_200...253_402_300_799).contains(seconds)
    }

    /// The digits after the decimal point as they came; empty if there are none.
    public var fractionDigits: Substring.UTF8View {
        let tail = text.utf8.dropFirst(19)
        guard tail.first == UInt8(ascii: ".") else { return Substring("").utf8 }
        return Substring(tail.dropFirst().prefix { $0.isDigit }).utf8
    }

    /// The fraction as nanoseconds, further digits cut off.
    public var nanoseconds: Int32 {
        var result: Int32 = 0
        var digits = fractionDigits.makeIterator()
        for _ in 0..<9 { result = result * 10 + Int32((digits.next() ?? UInt8(ascii: "0")) - UInt8(ascii: "0")) }
        return result
    }

    /// The fraction without the zeros at its end, which say nothing about the instant.
    private var significantFraction: Substring.UTF8View {
        var digits = fractionDigits
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        return digits
    }
}

extension Timestamp: Comparable, Hashable, CustomStringConvertible {
    /// Tells whether both are the same instant, whatever their offsets and trailing zeros.
    public static func == (left: Timestamp, right: Timestamp) -> Bool {
        left.secondsSinceEpoch == right.secondsSinceEpoch && left.isLeapSecond == right.isLeapSecond
            && left.significantFraction.elementsEqual(right.significantFraction)
    }

    /// Tells whether the left instant is earlier.
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        if left.secondsSinceEpoch != right.secondsSinceEpoch { return left.secondsSinceEpoch < right.secondsSinceEpoch }
        if left.isLeapSecond != right.isLeapSecond { return right.isLeapSecond }
        return left.significantFraction.lexicographicallyPrecedes(right.significantFraction)
    }

    /// Feeds the instant to the hasher.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(secondsSinceEpoch)
        hasher.combine(isLeapSecond)
        for digit in significantFraction { hasher.combine(digit) }
    }

    /// The text as it came.
    public var description: String { text }
}

extension [UInt8] {
    /// Appends what a ``Timestamp`` of this instant would have as text, in UTC.
    ///
    /// - Returns: False, and nothing is appended, outside the years 0000–9999 or 0…999,999,999 nanoseconds.
    @discardableResult
    package mutating func append(secondsSinceEpoch seconds: Int64, nanoseconds: Int32 = 0) -> Bool {
        guard Timestamp.isWritable(seconds, nanoseconds) else { return false }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: TimestampReader.writtenMax) { text in
            let count = TimestampReader.write(seconds: seconds, nanoseconds: Int(nanoseconds), to: text)
            append(contentsOf: UnsafeBufferPointer(rebasing: text[..<count]))
        }
        return true
    }
}

/// The grammar and the calendar behind ``Timestamp``.
enum TimestampReader {
    struct Parsed {
        var seconds: Int64
        var isLeapSecond: Bool
    }

    /// Reads `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`, nothing before or after.
    static func read(_ text: Bytes) -> Parsed? {
        guard text.count >= 20, text[4] == 0x2D, text[7] == 0x2D, text[10].lowercased == 0x74, text[13] == 0x3A,
            text[16] == 0x3A, let century = pair(text, 0), let yearInCentury = pair(text, 2),
            let month = pair(text, 5), let day = pair(text, 8), let hour = pair(text, 11),
            let minute = pair(text, 14), let second = pair(text, 17)
        else { return nil }
        let year = century * 100 + yearInCentury
        guard (1...12).contains(month), day >= 1, day <= days(inMonth: month, of: year), hour <= 23, minute <= 59,
            second <= 60, let zone = skipFraction(text), let offset = readOffset(text, at: zone)
        else { return nil }
        let isLeap = second == 60
        let time = hour * 3600 + minute * 60 + (isLeap ? 59 : second)
        let seconds = daysSinceEpoch(year: year, month: month, day: day) * 86_400 + time - offset * 60
        if isLeap, positiveRemainder(seconds, 86_400) != 86_399 { return nil }
        return Parsed(seconds: Int64(seconds), isLeapSecond: isLeap)
    }

    /// Writes an instant in UTC, with as many fraction digits (0, 3, 6 or 9) as it needs.
    static func write(seconds: Int64, nanoseconds: Int) -> String {
        String(unsafeUninitializedCapacity: writtenMax) { write(seconds: seconds, nanoseconds: nanoseconds, to: $0) }
    }

    /// The longest text that is written.
    static let writtenMax = 30

    /// The same, into memory with room for ``writtenMax`` bytes; returns how many there are.
    static func write(seconds: Int64, nanoseconds: Int, to output: UnsafeMutableBufferPointer<UInt8>) -> Int {
        let total = Int(seconds)
        let ofDay = positiveRemainder(total, 86_400)
        let (year, month, day) = civil(fromDays: (total - ofDay) / 86_400)
        var writer = DigitWriter(output: output)
        writer.write(year, 4)
        writer.write(month, 2, after: UInt8(ascii: "-"))
        writer.write(day, 2, after: UInt8(ascii: "-"))
        writer.write(ofDay / 3600, 2, after: UInt8(ascii: "T"))
        writer.write(ofDay / 60 % 60, 2, after: UInt8(ascii: ":"))
        writer.write(ofDay % 60, 2, after: UInt8(ascii: ":"))
        let point = UInt8(ascii: ".")
        if nanoseconds % 1_000_000 == 0 {
            if nanoseconds > 0 { writer.write(nanoseconds / 1_000_000, 3, after: point) }
        } else if nanoseconds % 1000 == 0 {
            writer.write(nanoseconds / 1000, 6, after: point)
        } else {
            writer.write(nanoseconds, 9, after: point)
        }
        writer.write(UInt8(ascii: "Z"))
        return writer.count
    }

    /// Two digits as a number.
    @inline(__always)
    private static func pair(_ text: Bytes, _ index: Int) -> Int? {
        let tens = text[index] &- 0x30
        let ones = text[index + 1] &- 0x30
        return tens < 10 && ones < 10 ? Int(tens) * 10 + Int(ones) : nil
    }

    /// The index after the seconds and the fraction; `nil` if a point has no digit behind it.
    private static func skipFraction(_ text: Bytes) -> Int? {
        guard text[19] == UInt8(ascii: ".") else { return 19 }
        var index = 20
        while index < text.count, text[index].isDigit { index += 1 }
        return index > 20 && index < text.count ? index : nil
    }

    /// The offset in minutes, which must be all the rest of the text.
    private static func readOffset(_ text: Bytes, at index: Int) -> Int? {
        if text[index].lowercased == 0x7A { return index + 1 == text.count ? 0 : nil }
        guard text.count == index + 6, text[index + 3] == 0x3A, let hours = pair(text, index + 1),
            let minutes = pair(text, index + 4), hours <= 23, minutes <= 59
        else { return nil }
        switch text[index] {
        case UInt8(ascii: "+"): return hours * 60 + minutes
        case UInt8(ascii: "-"): return -(hours * 60 + minutes)
        default: return nil
        }
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar, by counting years from March (any year from 0).
    private static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
        let shifted = (month <= 2 ? year - 1 : year) + 400
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468 - 146_097
    }

    /// The inverse of `daysSinceEpoch`.
    private static func civil(fromDays days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468 + 146_097
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 - 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }

    private static func positiveRemainder(_ value: Int, _ divisor: Int) -> Int {
        let remainder = value % divisor
        return remainder < 0 ? remainder + divisor : remainder
    }
}

/// Writes numbers of a fixed width, one after the other.
private struct DigitWriter {
    let output: UnsafeMutableBufferPointer<UInt8>
    private(set) var count = 0

    init(output: UnsafeMutableBufferPointer<UInt8>) {
        self.output = output
    }

    mutating func write(_ byte: UInt8) {
        output[count] = byte
        count += 1
    }

    /// The last `width` digits of a number that is not negative.
    mutating func write(_ value: Int, _ width: Int, after separator: UInt8? = nil) {
        if let separator { write(separator) }
        var rest = value
        for index in (count..<(count + width)).reversed() {
            output[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        count += width
    }
}
