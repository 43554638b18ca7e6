import Glibc

/// A table for people: columns as wide as their widest cell, cut to the terminal where there is one.
package struct DeliverTable: Sendable {
    private let titles: [String]
    private let numeric: Set<Int>
    private var rows: [[String]] = []

    /// Starts a table.
    ///
    /// - Parameters:
    ///   - titles: The columns' heads.
    ///   - numeric: The numbers of the columns that are flush right.
    package init(_ titles: [String], numeric: Set<Int> = []) {
        self.titles = titles
        self.numeric = numeric
    }

    /// Adds a row; the cells are foreign text and are escaped here.
    package mutating func add(_ cells: [String]) {
        rows.append(cells.map { $0.isEmpty ? "-" : SafeText.escaped($0, limit: 1024) })
    }

    /// Whether there is no row.
    package var isEmpty: Bool { rows.isEmpty }

    /// The lines, without blanks at their ends.
    ///
    /// - Parameter width: Most columns of a line; the last cells are cut then. `nil` cuts nothing.
    package func lines(width: Int?) -> [String] {
        let all = [titles] + rows
        let widths = titles.indices.map { column in all.map { Self.width($0[column]) }.max() ?? 0 }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let gap = String(repeating: " ", count: max(0, widths[column] - Self.width(cell)))
                if column > 0 { line += "  " }
                line += numeric.contains(column) ? gap + cell : cell + gap
            }
            while line.last == " " { line.removeLast() }
            return width.map { Self.cut(line, to: $0) } ?? line
        }
    }

    /// Prints the table, if it has rows.
    func show() {
        guard !isEmpty else { return }
        let width = Terminal.width
        for line in lines(width: width) { Console.out(line) }
    }

    /// The columns that a text takes on a terminal: two for a wide character, none for one that combines.
    package static func width(_ text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.unicodeScalars.reduce(0) { $0 + width($1) }
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        // East Asian wide and fullwidth (UAX #11), in broad ranges.
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
            return 2
        default: return 1
        }
    }

    private static func cut(_ line: String, to width: Int) -> String {
        guard self.width(line) > width else { return line }
        var kept = ""
        var used = 1
        for character in line {
            let size = self.width(String(character))
            guard used + size <= width else { break }
            used += size
            kept.append(character)
        }
        return kept + "…"
    }
}

/// A list of names and values, one a line, the values under one another.
package struct DeliverFacts: Sendable {
    private var facts: [(name: String, value: String)] = []

    /// An empty list.
    package init() {}

    /// Adds a line; `value` is foreign text.
    package mutating func add(_ name: String, _ value: String) {
        facts.append((SafeText.escaped(name), SafeText.escaped(value, limit: 4096)))
    }

    /// Adds every member of an object, those of objects in it by their dotted path; arrays of plain values on one line.
    ///
    /// - Parameter hidden: Paths that are left out.
    package mutating func add(_ object: JSONSlice, hiding hidden: Set<String> = []) {
        add(object, path: "", hidden: hidden)
    }

    private mutating func add(_ value: JSONSlice, path: String, hidden: Set<String>) {
        guard let members = value.members, !members.isEmpty else {
            add(path, Self.text(value))
            return
        }
        for member in members {
            let inner = path.isEmpty ? member.name : "\(path).\(member.name)"
            if !hidden.contains(inner) { add(member.value, path: inner, hidden: hidden) }
        }
    }

    /// A value in words: strings bare, arrays of plain values with commas, `-` for nothing.
    package static func text(_ value: JSONSlice) -> String {
        if value.isNull { return "-" }
        if let text = value.string { return text }
        if let elements = value.elements {
            if elements.isEmpty { return "-" }
            if elements.allSatisfy({ $0.members == nil && $0.elements == nil }) {
                return elements.map(text).joined(separator: ", ")
            }
        }
        return String(decoding: value.line, as: UTF8.self)
    }

    /// The lines.
    package var lines: [String] {
        let width = facts.map { $0.name.utf8.count }.max() ?? 0
        return facts.map { "\($0.name.padded(width))  \($0.value)" }
    }

    /// Prints the list.
    func show() {
        lines.forEach(Console.out)
    }
}

/// What the tool knows of the terminal it writes to.
enum Terminal {
    /// The columns of the terminal on standard output; `nil` when that is none.
    static var width: Int? {
        guard isatty(STDOUT_FILENO) == 1 else { return nil }
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 20 else { return nil }
        return Int(size.ws_col)
    }
}
