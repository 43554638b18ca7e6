import Testing

/// The rules see code and only code.
struct ScannerTests {
    @Test(
        "what is not code is blank",
        arguments: [
            ("a // b", "a     "),
            ("a /* b /* c */ d */ e", "a                   e"),
            (#"f("a { b")"#, "f(       )"),
            (#"f("a \(g("x")) b")"#, #"f(    (g(   ))   )"#),
            (#"f("\"{")"#, "f(     )"),
            ("##\"a \\(b) \"# c\"## d", "                  d"),
            ("#\"a \\#(b)\"#", "      (b)  "),
            ("func `a { b`() {", "func        () {"),
            ("#/\"{/# x", "       x"),
            ("#if DEBUG", "#if DEBUG"),
            ("\"\"\"\n{ \"q\" }\n\"\"\"\n{", "   \n       \n   \n{"),
            ("let a = \"open\n{", "let a =      \n{"),
        ]
    )
    func blanks(text: String, code: String) {
        #expect(String(decoding: SwiftScanner.code(of: text), as: UTF8.self) == code)
    }

    @Test(
        "imports are read with their attributes and kinds",
        arguments: [
            ("import A", ["A"]), ("public import A.B", ["A"]), ("@preconcurrency import struct A.B", ["A"]),
            ("let important = 1", []), ("// import A", []), ("import A; import B", ["A"]),
        ]
    )
    func imports(text: String, modules: [String]) {
        #expect(SourceFile(path: "Sources/A/A.swift", text: text).imports.map(\.module) == modules)
    }

    @Test func `a body is measured from its keyword to its brace`() {
        let text = """
            protocol P {
                var x: Int { get }
                func f()
            }
            func g<T>(
                a: T
            ) where T: P {
                if case .some(let b) = a { b() }
            }
            let c = C.init()
            struct S {
                init() {
                }
            }
            """
        let lengths = FunctionLength.bodies(in: SourceFile(path: "a.swift", text: text))
        #expect(lengths == [.init(line: 2, count: 1), .init(line: 5, count: 5), .init(line: 12, count: 2)])
    }
}
