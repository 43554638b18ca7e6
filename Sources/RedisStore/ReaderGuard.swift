import CHiredis

/// Keeps hiredis' reader from making arrays of any size a peer asks for (H-01, H-08).
///
/// hiredis 0.14 allocates an array's pointers when it reads the count, up to 16 GiB for a reply of 13 bytes, and walks over
/// all of them to free it. hiredis 1.0 to 1.3.0 reads arrays within arrays without end and frees them by recursion (H-03), and
/// reads RESP3's types also when nobody asked for them. The reader gets a table of functions with another `createArray` that
/// refuses all of that.
final class ReaderGuard {
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    private let limits: UnsafeMutablePointer<ReaderLimits>

    init(_ reader: UnsafeMutablePointer<redisReader>?, elementsMax: Int) {
        functions = .allocate(capacity: 1)
        functions.initialize(to: reader?.pointee.fn?.pointee ?? redisReplyObjectFunctions())
        limits = .allocate(capacity: 1)
        limits.initialize(
            to: ReaderLimits(
                elementsMax: RedisElementCount(clamping: elementsMax),
                createArray: functions.pointee.createArray,
                refusal: nil
            )
        )
        functions.pointee.createArray = createGuardedArray
        reader?.pointee.fn = functions
        reader?.pointee.privdata = UnsafeMutableRawPointer(limits)
    }

    /// Why an array was refused, if one was.
    var refusal: String? { limits.pointee.refusal }

    /// Call when the reader is gone.
    func release() {
        functions.deinitialize(count: 1)
        functions.deallocate()
        limits.deinitialize(count: 1)
        limits.deallocate()
    }
}

private struct ReaderLimits {
    let elementsMax: RedisElementCount
    let createArray: ArrayMaker?
    var refusal: String?
}

private typealias ArrayMaker =
    @convention(c) (UnsafePointer<redisReadTask>?, RedisElementCount) -> UnsafeMutableRawPointer?

/// Arrays that may be around an array; hiredis 0.14 has the same limit.
private let ancestorsMax = 7

/// Nil makes the reader fail.
private let createGuardedArray: ArrayMaker = { task, count in
    guard let limits = task?.pointee.privdata?.assumingMemoryBound(to: ReaderLimits.self) else { return nil }
    var ancestors = 0
    var parent = task?.pointee.parent
    while let current = parent, ancestors <= ancestorsMax {
        ancestors += 1
        parent = current.pointee.parent
    }
    if task?.pointee.type != REDIS_REPLY_ARRAY {
        limits.pointee.refusal = "a type of RESP3 as reply type byte"
    } else if ancestors > ancestorsMax {
        limits.pointee.refusal = "nested arrays with depth > \(ancestorsMax)"
    } else if count > limits.pointee.elementsMax {
        limits.pointee.refusal = "an array of \(count) elements is more than is taken"
    } else {
        return limits.pointee.createArray?(task, count)
    }
    return nil
}
