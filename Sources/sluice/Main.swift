import SluiceCommands

/// The executable's entry point; everything else lives in `SluiceCommands`, where tests can reach it.
@main
enum Main {
    static func main() async {
        await EntryPoint.main()
    }
}
