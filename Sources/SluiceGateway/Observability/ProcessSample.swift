import Glibc

/// What the operating system says of this process now (proc(5)).
struct ProcessSample: Sendable {
    /// Processor time since the start, user and system, in seconds.
    var cpuSeconds = 0.0
    /// Memory that is in use, in bytes.
    var residentBytes = 0
    var threads = 0
    var openFiles = 0
    /// How many files may be open; 0 if that is not known.
    var openFilesMax = 0

    /// Reads it; what cannot be read stays 0.
    static func read() -> ProcessSample {
        var sample = ProcessSample()
        var usage = rusage()
        if getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage) == 0 {
            sample.cpuSeconds = seconds(usage.ru_utime) + seconds(usage.ru_stime)
        }
        // Fields are counted behind the name, which may hold spaces: the first one there is the state, field 3.
        if let text = content(of: "/proc/self/stat"), let end = text.lastIndex(of: UInt8(ascii: ")")) {
            let fields = text[end...].dropFirst(2).split(separator: UInt8(ascii: " "))
            sample.threads = integer(fields, 20 - 3)
            sample.residentBytes = integer(fields, 24 - 3) * Int(getpagesize())
        }
        sample.openFiles = entries(of: "/proc/self/fd")
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            sample.openFilesMax = Int(clamping: limit.rlim_cur)
        }
        return sample
    }

    /// Seconds since 1970, to tell when the process started: no timer uses it.
    static func unixSeconds() -> Double { Double(time(nil)) }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

    private static func integer(_ fields: [ArraySlice<UInt8>], _ index: Int) -> Int {
        guard fields.indices.contains(index) else { return 0 }
        return Int(String(decoding: fields[index], as: UTF8.self)) ?? 0
    }

    private static func content(of path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        return [UInt8](unsafeUninitializedCapacity: 4096) { buffer, count in
            count = max(Glibc.read(descriptor, buffer.baseAddress, buffer.count), 0)
        }
    }

    /// How many entries a directory has, the one that reads it left out.
    private static func entries(of path: String) -> Int {
        guard let directory = opendir(path) else { return 0 }
        defer { closedir(directory) }
        var count = -1
        while let entry = readdir(directory) {
            if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
        }
        return max(count, 0)
    }
}
