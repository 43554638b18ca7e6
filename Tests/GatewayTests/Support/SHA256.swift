/// SHA-256 (FIPS 180-4), written for the tests: what was stored is judged by code that is not the gateway's.
enum SHA256 {
    /// The digest as 64 hexadecimal digits.
    static func hexDigest(of text: String) -> String {
        var state = fractions(of: 2)
        let message = padded(Array(text.utf8))
        for start in stride(from: 0, to: message.count, by: 64) { compress(&state, message[start..<start + 64]) }
        return state.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    private static let primes = (2...311).filter { number in !(2..<number).contains { number % $0 == 0 } }
    private static let constants = fractions(of: 3, count: 64)

    /// The first 32 bits of the fractional parts of the square or cube roots of the first primes.
    private static func fractions(of root: Int, count: Int = 8) -> [UInt32] {
        primes.prefix(count).map { prime in
            // The integer root of prime * 2^(32 * root), by bisection: exact, where floating point is not.
            var (low, high) = (UInt128(0), UInt128(1) << 37)
            while high - low > 1 {
                let middle = (low + high) / 2
                let power = (0..<root).reduce(UInt128(1)) { product, _ in product * middle }
                if power <= UInt128(prime) << UInt128(32 * root) { low = middle } else { high = middle }
            }
            return UInt32(truncatingIfNeeded: low)
        }
    }

    private static func padded(_ message: [UInt8]) -> [UInt8] {
        let zeros = (119 - message.count % 64) % 64
        let bits = UInt64(message.count * 8)
        return message + [0x80] + Array(repeating: 0, count: zeros)
            + (0..<8).map { UInt8(truncatingIfNeeded: bits >> (56 - 8 * $0)) }
    }

    private static func compress(_ state: inout [UInt32], _ block: ArraySlice<UInt8>) {
        var words = (0..<16).map { index in
            block.dropFirst(4 * index).prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        }
        for index in 16..<64 {
            let (early, late) = (words[index - 15], words[index - 2])
            let first = rotate(early, 7) ^ rotate(early, 18) ^ (early >> 3)
            let second = rotate(late, 17) ^ rotate(late, 19) ^ (late >> 10)
            words.append(words[index - 16] &+ first &+ words[index - 7] &+ second)
        }
        var work = state
        for index in 0..<64 {
            let (a, e) = (work[0], work[4])
            let choice = (e & work[5]) ^ (~e & work[6])
            let majority = (a & work[1]) ^ (a & work[2]) ^ (work[1] & work[2])
            let sum = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
            let first = work[7] &+ sum &+ choice &+ constants[index] &+ words[index]
            let second = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) &+ majority
            work = [first &+ second, a, work[1], work[2], work[3] &+ first, e, work[5], work[6]]
        }
        for index in state.indices { state[index] &+= work[index] }
    }

    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 {
        word >> count | word << (32 - count)
    }
}
