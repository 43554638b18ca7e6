/// A text from outside for logs and errors: printable ASCII, at most 200 characters.
func plainText(_ text: String) -> String {
    var bytes = text.utf8.prefix(200).map { (0x20...0x7E).contains($0) ? $0 : UInt8(ascii: "?") }
    if text.utf8.count > 200 { bytes += Array("...".utf8) }
    return String(decoding: bytes, as: UTF8.self)
}
