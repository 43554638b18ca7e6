/// How bytes, texts and JSON values become data that fits the content type (JSON-08 … JSON-18).
extension EventBuilder {
    /// Checks and keeps data that a program gives.
    mutating func takeData(_ data: EventData?) {
        guard let data, !data.isEmpty else { return }
        let (isGiven, type) = contentType
        if isGiven, type == nil { return }
        switch data {
        case .binary(let bytes):
            takeBytes(bytes)
        case .text:
            guard let type, !type.isJSON else {
                return reportData("JSON-14", "text data needs a content type that is not JSON")
            }
            keep(data)
        case .json(let bytes):
            guard type?.isJSON ?? true else {
                return reportData("JSON-12", "JSON data needs a JSON content type, or none")
            }
            guard checkJSON(bytes) else { return }
            keep(data)
        }
    }

    /// Checks and keeps the body of a message in binary mode, or the bytes of `data_base64`; no byte means no data.
    ///
    /// Bytes of a JSON type must be JSON. They become JSON data, except with a byte order mark, which no JSON value can
    /// carry, and except for bytes in a declared foreign charset that are no UTF-8 JSON: those stay what they are.
    mutating func takeBytes(_ bytes: ArraySlice<UInt8>, pointer: String? = nil) {
        guard !bytes.isEmpty, contentType.isGiven == (contentType.mediaType != nil) else { return }
        guard let type = contentType.mediaType, type.isJSON else { return keep(.binary(bytes)) }
        if type.hasForeignCharset {
            if case .success = JSONScanner.check(bytes) { return keep(.json(bytes)) }
            return keep(.binary(bytes))
        }
        let unmarked = JSONScanner.withoutByteOrderMark(bytes)
        guard checkJSON(unmarked, pointer: pointer) else { return }
        keep(unmarked.count == bytes.count ? .json(bytes) : .binary(bytes))
    }

    /// Whether it is a JSON text; a violation if not.
    private mutating func checkJSON(_ bytes: ArraySlice<UInt8>, pointer: String? = nil) -> Bool {
        switch JSONScanner.check(bytes) {
        case .success:
            return true
        case .failure(let error):
            let detail =
                error.reason == .tooDeep
                ? "objects and arrays of the data are \(error.sentence); \(JSONScanner.depthMax) levels are read"
                : "the content type says JSON, but the data is not JSON: \(error.sentence)"
            reportData("JSON-17", detail, pointer: pointer)
            return false
        }
    }
}
