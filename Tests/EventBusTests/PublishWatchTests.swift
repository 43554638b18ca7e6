import EventBus
import Testing

/// Whether the event stream does its work, as the outcomes of publishes tell.
struct PublishWatchTests {
    private let start = ContinuousClock.now

    @Test func `a stream is silent after three seconds without an acknowledgement, until the next one`() {
        var watch = PublishWatch()
        watch.note(stored: 0, unknown: 5, full: 0, now: start)
        #expect(!watch.isSilent(now: start + .seconds(2)))
        watch.note(stored: 0, unknown: 1, full: 0, now: start + .seconds(3))
        #expect(watch.isSilent(now: start + .seconds(3)))
        watch.note(stored: 1, unknown: 0, full: 0, now: start + .seconds(4))
        #expect(!watch.isSilent(now: start + .seconds(4)))
    }

    @Test func `timeouts beside acknowledgements are no silence`() {
        var watch = PublishWatch()
        for second in 0..<10 {
            watch.note(stored: 1, unknown: 100, full: 0, now: start + .seconds(second))
            #expect(!watch.isSilent(now: start + .seconds(second)))
        }
    }

    @Test func `what was seen is forgotten when nobody publishes any more`() {
        var watch = PublishWatch()
        watch.note(stored: 0, unknown: 1, full: 1, now: start)
        #expect(watch.isSilent(now: start + .seconds(14)))
        #expect(watch.isFull(now: start + .seconds(14)))
        #expect(!watch.isSilent(now: start + .seconds(15)))
        #expect(!watch.isFull(now: start + .seconds(15)))
    }

    @Test func `failures that are far apart are no silence`() {
        var watch = PublishWatch()
        watch.note(stored: 0, unknown: 1, full: 0, now: start)
        watch.note(stored: 0, unknown: 1, full: 0, now: start + .seconds(3600))
        #expect(!watch.isSilent(now: start + .seconds(3600)))
    }

    @Test func `a full store is told until something is stored`() {
        var watch = PublishWatch()
        watch.note(stored: 0, unknown: 0, full: 1, now: start)
        #expect(watch.isFull(now: start))
        watch.note(stored: 1, unknown: 0, full: 0, now: start + .seconds(1))
        #expect(!watch.isFull(now: start + .seconds(1)))
    }
}
