package import Logging
package import SluiceGateway

/// Everything that a run of the tool is configured with, as values.
package struct Configuration: Sendable {
    /// What the gateway is given.
    package var gateway = GatewayConfiguration()
    /// The least level that is logged.
    package var logLevel: Logger.Level = .info
    /// How log lines look; `nil` decides by whether standard error is a terminal.
    package var logFormat: LogFormat?

    /// A configuration of defaults.
    package init() {}

    /// Problems that no single setting has, but several have together.
    package var conflicts: [String] {
        var problems: [String] = []
        if gateway.streamName == gateway.deadLetterStream {
            problems.append("STREAM_NAME and DEAD_LETTER_STREAM: must be two different streams")
        }
        for (name, stream) in [("STREAM_NAME", gateway.streamName), ("DEAD_LETTER_STREAM", gateway.deadLetterStream)]
        where Self.ownStreams.contains(stream) || stream.hasPrefix("KV_") {
            problems.append("\(name): \(stream) is the name of another stream of the gateway, or of a bucket")
        }
        if gateway.maxAgeSeconds > 0, gateway.duplicateWindowSeconds > gateway.maxAgeSeconds {
            problems.append(
                "DUPLICATE_WINDOW: \(gateway.duplicateWindowSeconds) s is longer than MAX_AGE, "
                    + "\(gateway.maxAgeSeconds) s; JetStream refuses that"
            )
        }
        if let first = gateway.subjectPrefix.split(separator: ".").first, Self.ownSubjects.contains(String(first)) {
            problems.append("SUBJECT_PREFIX: \(first).> belongs to another stream of the gateway")
        }
        return problems
    }

    /// The streams beside the two that can be named.
    private static let ownStreams: Set = ["SLUICE_ADVISORIES", "SLUICE_AUDIT", "SLUICE_CANARY"]
    /// The first tokens of the subjects of the streams beside the events'.
    private static let ownSubjects: Set = ["audit", "dl", "sluice"]
}

/// Where an effective value came from.
package enum SettingOrigin: Sendable, Equatable {
    case flag
    case environment
    case file(String)
    case fallback

    /// As `check-config` shows it.
    package var label: String {
        switch self {
        case .flag: "flag"
        case .environment: "environment"
        case .file: "file"
        case .fallback: "default"
        }
    }
}

/// A setting's value after precedence was applied.
package struct EffectiveSetting: Sendable {
    package let setting: Setting
    /// The text as given, or the default's.
    package let text: String
    package let origin: SettingOrigin

    /// The text without secrets and safe to show.
    package var shown: String { SafeText.escaped(masked) }

    /// The text without secrets.
    package var masked: String {
        setting.isSecret && !text.isEmpty ? "***" : SafeText.maskingCredentials(text)
    }
}

/// All that is wrong with a configuration, one sentence each.
package struct ConfigurationErrors: Error, Sendable, CustomStringConvertible {
    package let problems: [String]

    package var description: String { problems.joined(separator: "\n") }
}

/// The configuration of a run, with the origin of every value.
package struct ResolvedConfiguration: Sendable {
    package let configuration: Configuration
    package let settings: [EffectiveSetting]
}

/// Where settings come from, best first: flags, environment, file, defaults.
package struct ConfigurationSources: Sendable {
    /// Values of flags by environment name; an empty text is a value here, and refused.
    package var flags: [String: String] = [:]
    /// The process's environment; an empty value counts as not set.
    package var environment: [String: String] = [:]
    /// The configuration file's path and content; `nil` when there is none.
    package var file: ConfigurationFile?
    /// Defaults that a command has of its own, by environment name.
    package var defaults: [String: String] = [:]

    package init() {}

    /// Applies precedence and checks every value.
    ///
    /// - Throws: ``ConfigurationErrors`` with every problem of every source.
    package func resolve() throws(ConfigurationErrors) -> ResolvedConfiguration {
        var problems = file?.problems ?? []
        var configuration = Configuration()
        var settings: [EffectiveSetting] = []
        for setting in Setting.all {
            let effective = effectiveSetting(setting)
            settings.append(effective)
            do throws(SettingFault) {
                guard !effective.text.isEmpty else {
                    if effective.origin == .flag { throw SettingFault("is empty") }
                    continue
                }
                try setting.apply(effective.text, &configuration)
            } catch {
                problems.append(Self.sentence(error, effective))
            }
        }
        problems += configuration.conflicts
        guard problems.isEmpty else { throw ConfigurationErrors(problems: problems) }
        return ResolvedConfiguration(configuration: configuration, settings: settings)
    }

    private func effectiveSetting(_ setting: Setting) -> EffectiveSetting {
        if let text = flags[setting.name] {
            return EffectiveSetting(setting: setting, text: text, origin: .flag)
        }
        if let text = environment[setting.name], !text.isEmpty {
            return EffectiveSetting(setting: setting, text: text, origin: .environment)
        }
        if let file, let text = file.values[setting.name] {
            return EffectiveSetting(setting: setting, text: text, origin: .file(file.path))
        }
        let text = defaults[setting.name] ?? setting.fallback
        return EffectiveSetting(setting: setting, text: text, origin: .fallback)
    }

    private static func sentence(_ fault: SettingFault, _ effective: EffectiveSetting) -> String {
        let place =
            switch effective.origin {
            case .flag: "from --\(effective.setting.flag)"
            case .environment: "from the environment"
            case .file(let path): "from the file \(SafeText.escaped(path))"
            case .fallback: "the default"
            }
        let value = SafeText.quoted(SafeText.maskingCredentials(effective.text))
        return "\(effective.setting.name): \(value) \(fault.reason) (\(place))"
    }
}
