/// Why a value of a setting was refused, as the rest of a sentence that starts with the value: `is not a port`.
package struct SettingFault: Error, Sendable, Equatable {
    package let reason: String

    package init(_ reason: String) {
        self.reason = reason
    }
}

/// One setting: its name in the environment, what it means, and how its text becomes a value.
///
/// All other names are derived: `NATS_URL` is `--nats-url` as a flag and `nats_url` in the file.
package struct Setting: Sendable {
    /// The name in the environment.
    package let name: String
    /// What stands for the value in the help.
    package let placeholder: String
    /// The value used when none is given, as text; empty when there is none.
    package let fallback: String
    /// What it is, in one line.
    package let help: String
    /// Whether the value must never be shown.
    package let isSecret: Bool
    /// Checks a text, which is never empty, and puts the value where it belongs.
    package let apply: @Sendable (_ text: String, _ target: inout Configuration) throws(SettingFault) -> Void

    package init(
        _ name: String,
        _ placeholder: String,
        default fallback: String,
        _ help: String,
        isSecret: Bool = false,
        apply: @escaping @Sendable (_ text: String, _ target: inout Configuration) throws(SettingFault) -> Void
    ) {
        self.name = name
        self.placeholder = placeholder
        self.fallback = fallback
        self.help = help
        self.isSecret = isSecret
        self.apply = apply
    }

    /// The name as a command-line flag without its dashes: `nats-url`.
    package var flag: String { name.lowercased().split(separator: "_").joined(separator: "-") }
    /// The name as a member of the configuration file: `nats_url`.
    package var fileKey: String { name.lowercased() }

    /// The setting of that environment name.
    package static func named(_ name: String) -> Setting? { all.first { $0.name == name } }
}
