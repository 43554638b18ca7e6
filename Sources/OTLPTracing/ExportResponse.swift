/// What a collector says about a request, as far as it is of use here.
package struct ExportResponse: Sendable, Equatable {
    /// Spans of an accepted request that the collector refused.
    package private(set) var rejected: UInt64 = 0
    /// Its words, made fit for a log; empty if there are none.
    package private(set) var message = ""

    /// Reads an `ExportTraceServiceResponse`, the body of a 2xx answer.
    ///
    /// A body that is none says nothing: the status has said that the request was accepted.
    package init(accepted body: [UInt8]) {
        var response = ProtobufReader(body[...])
        while let (number, field) = response.next() {
            guard number == 1, case .bytes(let partialSuccess) = field else { continue }
            var reader = ProtobufReader(partialSuccess)
            while let (number, field) = reader.next() {
                switch (number, field) {
                case (1, .number(let count)): rejected = Int64(bitPattern: count) > 0 ? count : 0
                case (2, .bytes(let text)): message = Self.shown(text)
                default: break
                }
            }
        }
    }

    /// Reads a `google.rpc.Status`, the body of an answer that refuses.
    package init(refused body: [UInt8]) {
        var status = ProtobufReader(body[...])
        while let (number, field) = status.next() {
            if number == 2, case .bytes(let text) = field { message = Self.shown(text) }
        }
    }

    /// At most 200 characters, none of them a control character.
    static func shown(_ bytes: ArraySlice<UInt8>) -> String {
        let text = String(decoding: bytes.prefix(800), as: UTF8.self)
        let scalars = text.unicodeScalars.lazy.prefix(200).map { scalar -> Unicode.Scalar in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: "?"
            default: scalar
            }
        }
        return String(String.UnicodeScalarView(scalars))
    }
}
