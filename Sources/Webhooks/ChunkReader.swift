/// Takes the chunks of a body apart (RFC 9112 §7.1).
struct ChunkReader {
    enum Step {
        case data(UnsafeRawBufferPointer)
        case end
        case needsMore
        case fault
    }

    private enum State {
        case size
        case sizeRest
        case data
        case dataEnd
        case trailer
    }

    private var state = State.size
    private var left = 0
    private var digits = 0
    private var lineBytes = 0
    /// Bytes of extensions and trailers so far.
    private(set) var overhead = 0

    /// Takes the next part from the front.
    mutating func next(_ bytes: inout UnsafeRawBufferPointer) -> Step {
        while let byte = bytes.first {
            if state == .data {
                let part = min(left, bytes.count)
                let data = UnsafeRawBufferPointer(rebasing: bytes[..<part])
                bytes = UnsafeRawBufferPointer(rebasing: bytes[part...])
                left -= part
                if left == 0 { state = .dataEnd }
                return .data(data)
            }
            bytes = UnsafeRawBufferPointer(rebasing: bytes[1...])
            switch take(byte) {
            case .needsMore: continue
            case let step: return step
            }
        }
        return .needsMore
    }

    private mutating func take(_ byte: UInt8) -> Step {
        switch state {
        case .size:
            if let digit = Self.hexadecimal(byte) {
                digits += 1
                guard digits <= 8 else { return .fault }
                left = left << 4 | digit
                return .needsMore
            }
            guard digits > 0, byte == 0x0D || byte == 0x0A || byte == UInt8(ascii: ";") || byte == 0x20 else {
                return .fault
            }
            state = .sizeRest
            return byte == 0x0A ? sizeEnd() : .needsMore
        case .sizeRest:
            overhead += 1
            return byte == 0x0A ? sizeEnd() : .needsMore
        case .dataEnd:
            if byte == 0x0D, lineBytes == 0 {
                lineBytes = 1
                return .needsMore
            }
            guard byte == 0x0A else { return .fault }
            state = .size
            digits = 0
            left = 0
        case .trailer:
            overhead += 1
            if byte == 0x0A {
                if lineBytes == 0 { return .end }
                lineBytes = 0
            } else if byte != 0x0D {
                lineBytes += 1
            }
        case .data: break
        }
        return .needsMore
    }

    private mutating func sizeEnd() -> Step {
        state = left == 0 ? .trailer : .data
        lineBytes = 0
        return .needsMore
    }

    private static func hexadecimal(_ byte: UInt8) -> Int? {
        switch byte {
        case 0x30...0x39: Int(byte - 0x30)
        case 0x41...0x46: Int(byte - 0x37)
        case 0x61...0x66: Int(byte - 0x57)
        default: nil
        }
    }
}
