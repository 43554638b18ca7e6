import EventBus
import ServerFixtures
import Testing

@Suite struct PayloadDigestTests {
    /// Made with the reference implementation (the package xxhash): byte i of each input is (131 i + 7) mod 256.
    @Test(
        arguments: [
            (0, 0xEF46_DB37_51D8_E999), (1, 0xA96C_7F0C_E858_BBB7), (3, 0xBED4_3740_EE63_32BB),
            (4, 0xFA21_2AE4_4B3B_B23D),
            (5, 0xD339_DCC9_AC8E_6776), (7, 0x2744_460D_D675_D2C0), (8, 0x994B_676B_71CE_94DD),
            (9, 0x572B_84C1_8B98_3AF8),
            (12, 0xB92F_588C_E720_786E), (15, 0x09E6_451E_D2FF_8B1D), (16, 0x94AD_0095_E72B_24D5),
            (31, 0x6711_D55E_306B_5D8F), (32, 0x07F7_B8E3_BC5D_6E25), (33, 0x09F8_5EEB_4E1C_BE9F),
            (39, 0xB13C_137A_0FB7_01C3), (40, 0xD251_5017_7BA4_6490), (63, 0xB7C9_968C_066C_B6A5),
            (64, 0x50D4_159A_0411_632E), (65, 0xD277_176B_FF86_3EFC), (100, 0x9DDA_DA11_D3DC_2D8F),
            (600, 0x6FA5_10D4_7BF3_F847),
        ] as [(Int, UInt64)]
    )
    func `the digest is XXH64 of every length, wherever the bytes begin`(count: Int, expected: UInt64) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 131 + 7) }
        #expect(PayloadDigest.of(bytes[...]) == expected)
        let shifted = [1, 2, 3] + bytes + [4]
        #expect(PayloadDigest.of(shifted[3..<(3 + count)]) == expected)
    }
}

@Suite struct AuditRecordTests {
    private func record(_ entries: [AuditEntry], number: UInt64 = 7, isLast: Bool = false) -> AuditRecord {
        AuditRecord(
            number: number,
            previousTime: 1_790_000_000_000,
            earliestTime: 1_790_000_000_750,
            time: 1_790_000_001_000,
            dropped: 3,
            promise: .init(ageMaxSeconds: 604_800, discardsOldest: true),
            isLast: isLast,
            stream: "EVENTS",
            entries: entries
        )
    }

    private var sample: AuditRecord {
        record([(5, 1), (1 << 40, .max), (6, 0), (.max, 2)].map { AuditEntry(sequence: $0, digest: $1) })
    }

    @Test func `a record is read as it was written, its entries in ascending order`() throws {
        let read = try AuditRecord(decoding: sample.encoded)
        #expect(read == sample)
        #expect(read.entries.map(\.sequence) == [5, 6, 1 << 40, .max])
        let empty = record([], number: 1, isLast: true)
        #expect(try AuditRecord(decoding: empty.encoded) == empty)
    }

    @Test func `sequences in a row cost nine bytes each, and no entry more than is reckoned with`() {
        let row = (1...1000).map { AuditEntry(sequence: 1_000_000 + $0, digest: .max - $0) }
        #expect(record(row).encoded.count < 9100)
        let far = (1...8).map { AuditEntry(sequence: $0 << 60, digest: $0) }
        #expect(record(far).encoded.count <= AuditRecord.frameBytesMax + far.count * AuditRecord.entryBytesMax)
    }

    @Test func `no record with a flipped bit, a missing end or something behind it is believed`() {
        let bytes = sample.encoded
        for bit in 0..<(bytes.count * 8) {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: AuditRecord.Fault.self, "bit \(bit)") { try AuditRecord(decoding: damaged) }
        }
        for count in bytes.indices {
            #expect(throws: AuditRecord.Fault.self, "\(count) bytes") {
                try AuditRecord(decoding: Array(bytes[..<count]))
            }
        }
        #expect(throws: AuditRecord.Fault.damaged) { try AuditRecord(decoding: bytes + [0]) }
    }

    @Test func `bytes that carry a right seal and nonsense inside are refused, not trapped on`() {
        var generator = SeededGenerator(seed: 40)
        for _ in 0..<2000 {
            var bytes: [UInt8] = [0x53, 0x4C, 1, 0]
            for _ in 0..<Int.random(in: 0..<40, using: &generator) {
                bytes.append(Bool.random(using: &generator) ? 0xFF : UInt8.random(in: 0...255, using: &generator))
            }
            let seal = PayloadDigest.of(bytes[...])
            bytes += (0..<8).map { UInt8(truncatingIfNeeded: seal >> ($0 * 8)) }
            if let read = try? AuditRecord(decoding: bytes) {
                #expect(read.entries.allSatisfy { $0.sequence > 0 } && read.number > 0)
            }
        }
    }

    @Test func `another version is named as such`() {
        var bytes = sample.encoded
        bytes[2] = 9
        #expect(throws: AuditRecord.Fault.version(9)) { try AuditRecord(decoding: bytes) }
        #expect(throws: AuditRecord.Fault.notARecord) { try AuditRecord(decoding: Array("{\"a\":1,\"b\":2}".utf8)) }
    }
}

@Suite struct AuditPartsTests {
    @Test func `a tally gives everything once`() {
        let tally = AuditTally()
        #expect(tally.take().isEmpty)
        for sequence in 1...5000 as ClosedRange<UInt64> { tally.note(sequence: sequence, digest: sequence * 3) }
        #expect(tally.take() == (1...5000).map { AuditEntry(sequence: $0, digest: $0 * 3) })
        #expect(tally.take().isEmpty)
    }

    @Test func `a backlog keeps order and its bound, and counts what found no room`() {
        var backlog = AuditBacklog(countMax: 10)
        func entries(_ range: ClosedRange<UInt64>) -> [AuditEntry] { range.map { AuditEntry(sequence: $0, digest: 0) } }
        #expect(backlog.add(entries(1...4), time: 100) == 0)
        #expect(backlog.add(entries(5...8), time: 200) == 0)
        #expect(backlog.add(entries(9...14), time: 300) == 4)
        #expect(backlog.count == 10)
        let first = backlog.take(atMost: 6)
        #expect(first?.entries == entries(1...6) && first?.earliestTime == 100)
        backlog.putBack(entries(1...6), time: 100, dropped: 0)
        #expect(backlog.count == 10)
        let again = backlog.take(atMost: 100)
        #expect(again?.entries == entries(1...10) && again?.earliestTime == 100)
        #expect(!backlog.isEmpty, "what was dropped is still to be told")
        #expect(backlog.takeDropped() == 4)
        #expect(backlog.isEmpty && backlog.take(atMost: 1) == nil)
    }

    @Test(arguments: 1...20) func `a set of sequences does what a set does`(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        func some() -> [UInt64] {
            (0..<Int.random(in: 0..<60, using: &generator)).map { _ in UInt64.random(in: 1...120, using: &generator) }
                .sorted()
        }
        var ours = SequenceSet()
        var model = Set<UInt64>()
        for _ in 0..<10 {
            let more = some()
            ours.insert(ascending: more)
            model.formUnion(more)
        }
        var other = SequenceSet()
        let others = some() + some()
        other.insert(ascending: others.sorted())
        #expect(ours.members == model.sorted() && ours.count == UInt64(model.count))
        #expect(ours.intersection(other).members == model.intersection(others).sorted())
        #expect((1...121).allSatisfy { ours.contains($0) == model.contains($0) })
        #expect(ours.count(from: 20, through: 70) == UInt64(model.count { (20...70).contains($0) }))
        var difference = ours
        difference.subtract(other)
        #expect(difference.members == model.subtracting(others).sorted())
        ours.formUnion(other)
        #expect(ours.members == model.union(others).sorted())
        for (range, next) in zip(ours.ranges, ours.ranges.dropFirst()) {
            #expect(range.upperBound + 1 < next.lowerBound, "the ranges are as few as can be")
        }
    }
}

extension SequenceSet {
    fileprivate var members: [UInt64] { ranges.flatMap { Array($0) } }
}
