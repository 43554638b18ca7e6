import CHiredis

/// Keeps hiredis' reader from making arrays of any size a peer asks for (H-01, H-08).
///
/// hiredis 0.14 allocates an array's pointers when it reads the count, up to 16 GiB for a reply of 13 bytes, and walks over
/// all of them to free it. The reader gets a table of functions with another `createArray` that refuses such counts.
final class ReaderGuard {
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    private let limits: UnsafeMutablePointer<ReaderLimits>

    init(_ reader: UnsafeMutablePointer<redisReader>?, elementsMax: Int) {
        functions = .allocate(capacity: 1)
        functions.initialize(to: reader?.pointee.fn?.pointee ?? redisReplyObjectFunctions())
        limits = .allocate(capacity: 1)
        limits.initialize(
            to: ReaderLimits(
                elementsMax: Int32(clamping: elementsMax),
                createArray: functions.pointee.createArray,
                refusedElements: nil
            )
        )
        functions.pointee.createArray = createGuardedArray
        reader?.pointee.fn = functions
        reader?.pointee.privdata = UnsafeMutableRawPointer(limits)
    }

    /// The count of the array that was refused, if one was.
    var refusedElements: Int32? { limits.pointee.refusedElements }

    /// Call when the reader is gone.
    func release() {
        functions.deinitialize(count: 1)
        functions.deallocate()
        limits.deinitialize(count: 1)
        limits.deallocate()
    }
}

private struct ReaderLimits {
    let elementsMax: Int32
    let createArray: (@convention(c) (UnsafePointer<redisReadTask>?, Int32) -> UnsafeMutableRawPointer?)?
    var refusedElements: Int32?
}

/// Nil makes the reader fail.
private let createGuardedArray: @convention(c) (UnsafePointer<redisReadTask>?, Int32) -> UnsafeMutableRawPointer? = {
    task,
    count in
    guard let limits = task?.pointee.privdata?.assumingMemoryBound(to: ReaderLimits.self) else { return nil }
    guard count <= limits.pointee.elementsMax else {
        limits.pointee.refusedElements = count
        return nil
    }
    return limits.pointee.createArray?(task, count)
}
