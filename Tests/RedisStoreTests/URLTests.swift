import RedisStore
import Testing

/// Addresses of Redis servers.
@Suite struct URLTests {
    @Test(arguments: [
        ("redis://localhost", "redis://localhost:6379"), ("redis://10.0.0.1:7000", "redis://10.0.0.1:7000"),
        ("REDIS://h/", "redis://h:6379"), ("redis://h/0", "redis://h:6379"), ("redis://h/12", "redis://h:6379/12"),
        ("redis://[::1]:7000/1", "redis://[::1]:7000/1"), ("redis://[::1]", "redis://[::1]:6379"),
        ("redis://:geheim@h:1", "redis://h:1"), ("redis://anna:geheim@h:65535", "redis://h:65535"),
        ("redis://anna:ge%40%2Fheim%00@h", "redis://h:6379"), ("redis://anna:@h", "redis://h:6379"),
        ("redis://anna:ge@heim@h", "redis://h:6379"), ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix:///run/redis.sock?db=3", "unix:///run/redis.sock?db=3"),
        ("unix://anna:geheim@/run/a%20b", "unix:///run/a b"),
    ])
    func `an address is read and shown without its credentials`(url: String, shown: String) throws {
        let configuration = try RedisConfiguration(url: url)
        #expect(configuration.shownAddress == shown)
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in [dumped, "\(configuration)", String(reflecting: configuration), String(describing: configuration)] {
            #expect(!text.contains("heim") && !text.contains("anna"))
        }
    }

    @Test(arguments: [
        ("", RedisURLError.scheme), ("localhost:6379", .scheme), ("http://h", .scheme), ("://h", .scheme),
        ("rediss://h", .tlsNotSupported), ("redis://", .host), ("redis:///1", .host), ("redis://a b", .host),
        ("redis://[::1", .host), ("redis://[::1]x", .host), ("redis://h%0d%0a", .host), ("redis://h:", .port),
        ("redis://h:0", .port), ("redis://h:65536", .port), ("redis://h:+1", .port), ("redis://h:1:2", .port),
        ("redis://geheim@h", .credentials), ("redis://:@h", .credentials), ("redis://a:%4@h", .credentials),
        ("redis://a:%zz@h", .credentials), ("redis://h/a", .database), ("redis://h/-1", .database),
        ("redis://h/2147483648", .database), ("redis://h/1/2", .database), ("redis://h?db=1", .query),
        ("redis://h#1", .query), ("unix://h/run/a", .path), ("unix:///", .path), ("unix://", .path),
        ("unix:///a%00b", .path), ("unix:///run/a?x=1", .query), ("unix:///run/a?db=x", .database),
        ("unix:///" + String(repeating: "a", count: 107), .path),
    ])
    func `what is no address is refused`(url: String, expected: RedisURLError) {
        #expect(throws: expected) { try RedisConfiguration(url: url) }
        #expect(!expected.description.contains("geheim"))
    }
}
