import ArgumentParser

/// What becomes of a command line's words before anything runs.
package struct CommandLineReading: Sendable {
    /// The command's name when the words are understood.
    package let command: String?
    /// What is printed when they are not, or when they ask for help.
    package let message: String
    /// The exit code that goes with the message; 0 when the words are understood.
    package let exitCode: Int32
    /// The settings that were given as flags, by environment name, for commands that have them.
    package let settings: [String: String]

    /// Reads the words after the program's name.
    package init(_ words: [String]) {
        do {
            var parsed = try Sluice.parseAsRoot(words)
            // A request for help is a command of the parser's own, which throws the text.
            if type(of: parsed).configuration.commandName == "help" { try parsed.run() }
            command = type(of: parsed).configuration.commandName
            message = ""
            exitCode = 0
            settings =
                switch parsed {
                case let parsed as ServeCommand: parsed.settings.given
                case let parsed as DevCommand: parsed.settings.given
                case let parsed as CheckConfigCommand: parsed.settings.given
                default: [:]
                }
        } catch {
            command = nil
            message = Sluice.fullMessage(for: error)
            exitCode = Sluice.exitCode(for: error).rawValue
            settings = [:]
        }
    }
}
