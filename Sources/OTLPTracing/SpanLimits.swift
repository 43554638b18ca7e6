/// Bounds of what one span keeps, whatever the program and its clients put in.
package enum SpanLimits {
    /// Most attributes of a span; further ones are left out and counted in the span.
    package static let attributesMax = 32
    /// Most attributes of an event or a link.
    package static let innerAttributesMax = 8
    /// Most events and most links of a span.
    package static let eventsMax = 16
    /// Most elements of an array value.
    package static let elementsMax = 16
    /// Most bytes of a text: values, names, messages.
    ///
    /// Longer ones end before the character that does not fit.
    package static let textBytesMax = 256
    /// Most bytes of an attribute's name; an attribute with a longer one is left out.
    package static let keyBytesMax = 128

    /// The text itself, or as much of it as may be kept.
    @inline(__always)
    static func bounded(_ text: String) -> String {
        text.utf8.count <= textBytesMax ? text : cut(text)
    }

    private static func cut(_ text: String) -> String {
        var end = text.utf8.index(text.startIndex, offsetBy: textBytesMax)
        while end.samePosition(in: text.unicodeScalars) == nil { end = text.utf8.index(before: end) }
        return String(text.unicodeScalars[..<end])
    }
}
