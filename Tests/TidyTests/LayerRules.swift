/// Which target may import what: the arrows of the architecture, which only ever point down.
extension Rules {
    /// What a target of ours may import beside the platform's modules.
    private struct Layer {
        /// The targets and the few modules of other packages that it may import.
        let targets: Set<String>
        /// Whether it may import any other package.
        let packages: Bool

        static func only(_ targets: String...) -> Layer { Layer(targets: Set(targets), packages: false) }
        static func packages(and targets: String...) -> Layer { Layer(targets: Set(targets), packages: true) }
    }

    private static let layerOfTarget: [String: Layer] = [
        "CloudEvents": .only(),
        "EventFilters": .only("CloudEvents"),
        "JSONSchema": .only("CloudEvents"),
        "WorkerThreads": .only(),
        "JetStream": .only("CNATS", "WorkerThreads"),
        "RedisStore": .only("CHiredis", "WorkerThreads"),
        "TenantMetrics": .only("RedisStore"),
        "PrometheusMetrics": .only("CoreMetrics"),
        "OTLPTracing": .packages(),
        "DeliveryRules": .only(),
        "Webhooks": .packages(and: "COpenSSL"),
        "EventBus": .only(
            "CloudEvents",
            "EventFilters",
            "DeliveryRules",
            "JetStream",
            "RedisStore",
            "COpenSSL",
            "Logging",
            "ServiceLifecycle"
        ),
        "SluiceGateway": .packages(
            and: "CloudEvents",
            "DeliveryRules",
            "Webhooks",
            "EventFilters",
            "JSONSchema",
            "JetStream",
            "RedisStore",
            "TenantMetrics",
            "PrometheusMetrics",
            "OTLPTracing",
            "EventBus"
        ),
        "SluiceCommands": .packages(
            and: "CloudEvents",
            "EventFilters",
            "JSONSchema",
            "JetStream",
            "RedisStore",
            "EventBus",
            "SluiceGateway"
        ),
        "sluice": .only("SluiceCommands", "ArgumentParser"),
    ]

    private static let cModules: Set<String> = ["CNATS", "CHiredis", "COpenSSL"]

    private static let platformModules: Set<String> = [
        "Swift", "Glibc", "Musl", "Darwin", "Synchronization", "Foundation", "FoundationEssentials",
    ]

    static let layers = Rule(
        name: "imports follow the layers",
        reason:
            "an arrow that points up or aside ties two layers together, and C stays in the one target that tames it",
        instead: "move the code to the layer that may import it, or widen the table in LayerRules.swift on purpose",
        violations: [
            .init("Sources/CloudEvents/A.swift", "import JetStream"),
            .init("Sources/CloudEvents/A.swift", "package import NIOCore"),
            .init("Sources/SluiceGateway/A.swift", "import Logging\ninternal import CNATS"),
            .init("Sources/EventBus/A.swift", "@preconcurrency import struct CHiredis.redisReply"),
            .init("Sources/JetStream/A.swift", "import EventBus"),
            .init("Sources/JetStream/A.swift", "import COpenSSL"),
            .init("Sources/sluice/A.swift", "import SluiceGateway"),
            .init("Sources/Unknown/A.swift", "let a = 1"),
            .init("Tests/JetStreamTests/A.swift", "import CNATS"),
            .init("Tests/TidyTests/A.swift", "import CloudEvents"),
        ],
        allowed: [
            .init("Sources/CloudEvents/A.swift", "#if canImport(Glibc)\nimport Glibc\n#endif\n// import JetStream"),
            .init("Sources/JetStream/A.swift", "import CNATS\nimport Synchronization"),
            .init("Sources/EventBus/A.swift", "import COpenSSL\npublic import CloudEvents"),
            .init("Sources/SluiceGateway/A.swift", "public import Logging\nimport NIOCore\nimport EventBus"),
            .init("Tests/JetStreamTests/A.swift", "import Testing\nimport JetStream"),
        ]
    ) { file in
        guard let target = file.target else { return [] }
        if file.isSource, layerOfTarget[target] == nil {
            return [.init(path: file.path, line: 1, what: "the target \(target) is not in the table of layers")]
        }
        return file.imports.filter { !isAllowed($0.module, in: target, isTest: file.isTest) }
            .map { .init(path: file.path, line: $0.line, what: "\(target) imports \($0.module)") }
    }

    private static func isAllowed(_ module: String, in target: String, isTest: Bool) -> Bool {
        if platformModules.contains(module) || module == target { return true }
        if target == "TidyTests" { return module == "Testing" }
        if isTest { return !cModules.contains(module) }
        guard let layer = layerOfTarget[target] else { return false }
        let isOurs = layerOfTarget[module] != nil || cModules.contains(module)
        return layer.targets.contains(module) || (!isOurs && layer.packages)
    }

    static let foundationInEvents = Rule(
        name: "CloudEvents does without Foundation",
        reason: "a program that only wants the event would link and load all of it",
        instead: "the standard library, and the C library for the clock",
        violations: [
            .init("Sources/CloudEvents/A.swift", "import Foundation"),
            .init("Sources/CloudEvents/A.swift", "public import FoundationEssentials"),
        ],
        allowed: [
            .init("Sources/SluiceCommands/A.swift", "import FoundationEssentials"),
            .init("Sources/CloudEvents/A.swift", "import Glibc  // not import Foundation"),
        ]
    ) { file in
        guard file.isSource, file.target == "CloudEvents" else { return [] }
        return file.imports.filter { $0.module.hasPrefix("Foundation") }
            .map { .init(path: file.path, line: $0.line, what: "imports \($0.module)") }
    }
}
