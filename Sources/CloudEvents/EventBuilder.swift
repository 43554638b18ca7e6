/// Gathers attributes one by one, checks each, and makes the event or the list of all that is wrong with it.
///
/// Every decoder and the public initialiser go through here, so that a rule is written once.
struct EventBuilder: ~Copyable {
    let place: Place
    var problems = Problems()
    /// One bit for every core attribute that appeared, whatever its value.
    private var seen: UInt16 = 0
    /// One bit for every core attribute that appeared with a value, good or bad.
    private var present: UInt16 = 0
    private var id = ""
    private var source = ""
    private var type = ""
    private var subject: String?
    private var time: Timestamp?
    private var dataContentType: String?
    private var dataSchema: String?
    private var extensions = Extensions()
    /// Names that appeared without a value.
    private var nullNames: [String] = []
    /// All extension names, once they are too many to be looked through one by one.
    private var manyNames: Set<String> = []
    private var data: EventData?
    private var mediaType: MediaType?

    init(place: Place) { self.place = place }

    /// The content type read so far, and whether one was given at all.
    var contentType: (isGiven: Bool, mediaType: MediaType?) {
        (present & Self.bit(.datacontenttype) != 0, mediaType)
    }

    private static func bit(_ core: CoreAttribute) -> UInt16 { 1 << UInt16(core.rawValue) }

    /// Notes that a core attribute appeared; `false` and a violation if it did before (CE-02).
    mutating func isFirst(_ core: CoreAttribute, pointer: String? = nil) -> Bool {
        let bit = Self.bit(core)
        if seen & bit == 0 {
            seen |= bit
            return true
        }
        report(core, "CE-02", "the attribute appears more than once", pointer: pointer)
        return false
    }

    /// Tells whether a core attribute appeared, whatever its value.
    func hasSeen(_ core: CoreAttribute) -> Bool { seen & Self.bit(core) != 0 }

    /// Notes that a core attribute has a value, so that it is not reported as missing as well.
    private mutating func markPresent(_ core: CoreAttribute) { present |= Self.bit(core) }

    mutating func report(_ core: CoreAttribute, _ rule: String, _ detail: String, pointer: String? = nil) {
        present |= Self.bit(core)
        let pointer = pointer ?? place.pointer(core.name)
        problems.add(Violation(pointer: pointer, attribute: core.name, rule: rule, detail: detail))
    }

    mutating func report(extension name: String, _ rule: String, _ detail: String) {
        problems.add(Violation(pointer: place.pointer(name), attribute: name, rule: rule, detail: detail))
    }

    mutating func reportData(_ rule: String, _ detail: String, pointer: String? = nil) {
        problems.add(Violation(pointer: pointer ?? place.data, rule: rule, detail: detail))
    }

    /// Checks and keeps a core attribute.
    ///
    /// `isPlain` says that the text is known to be printable ASCII.
    mutating func take(_ core: CoreAttribute, _ text: String, isPlain: Bool = false, pointer: String? = nil) {
        markPresent(core)
        guard !text.isEmpty else {
            return report(core, core.emptinessRule, "the value is empty", pointer: pointer)
        }
        if !isPlain, let fault = AttributeRules.fault(in: text) {
            return report(core, fault.rule, fault.detail, pointer: pointer)
        }
        var copy = text
        switch core {
        case .id: id = text
        case .type: type = text
        case .subject: subject = text
        case .specversion:
            guard copy.withUTF8({ $0.equals("1.0") }) else {
                return report(core, "CE-20", "the version is \(Quoting.quote(text)), not '1.0'", pointer: pointer)
            }
        case .source:
            guard copy.withUTF8({ URIReference.isReference($0) }) else {
                let detail = "\(Quoting.quote(text)) is not a URI-reference (RFC 3986)"
                return report(core, "CE-14", detail, pointer: pointer)
            }
            source = text
        case .time:
            time = Timestamp(text)
            guard time != nil else {
                let detail = "\(Quoting.quote(text)) is not an RFC 3339 timestamp"
                return report(core, "CE-15", detail, pointer: pointer)
            }
        case .datacontenttype:
            mediaType = MediaType(text)
            guard mediaType != nil else {
                let detail = "\(Quoting.quote(text)) is not a media type (RFC 2046)"
                return report(core, "CE-22", detail, pointer: pointer)
            }
            dataContentType = text
        case .dataschema:
            guard copy.withUTF8({ URIReference.isAbsolute($0) }) else {
                let detail = "\(Quoting.quote(text)) is not an absolute URI without fragment (RFC 3986)"
                return report(core, "CE-13", detail, pointer: pointer)
            }
            dataSchema = text
        }
    }

    /// Notes an extension's name, whose characters are known to be good; `false` and a violation on the second time.
    mutating func isFirst(extension name: String) -> Bool {
        if insert(name) { return true }
        report(extension: name, "CE-02", "the attribute appears more than once")
        return false
    }

    /// Notes that an extension appeared without a value, after `isFirst(extension:)`.
    mutating func skip(extension name: String) { nullNames.append(name) }

    /// Tells whether the name is new: a few names are compared with each other, more go into a set.
    private mutating func insert(_ name: String) -> Bool {
        if !manyNames.isEmpty { return manyNames.insert(name).inserted }
        if extensions.isEmpty, nullNames.isEmpty { return true }
        if extensions[name] != nil || nullNames.contains(where: { sameBytes($0, name) }) { return false }
        if extensions.count + nullNames.count >= 16 {
            manyNames = Set(nullNames)
            for (known, _) in extensions { manyNames.insert(known) }
            manyNames.insert(name)
        }
        return true
    }

    /// Keeps an extension whose name and value are known to be good.
    mutating func keep(_ name: String, _ value: AttributeValue) { extensions.append(name, value) }

    /// Checks and keeps an extension given as text.
    mutating func take(_ name: String, text: String, isPlain: Bool) {
        if !isPlain, let fault = AttributeRules.fault(in: text) {
            return report(extension: name, fault.rule, fault.detail)
        }
        extensions.append(name, .string(text))
    }

    /// Checks name, type and value of an extension that a program gives.
    mutating func takeChecked(_ name: String, _ value: AttributeValue) {
        var copy = name
        switch copy.withUTF8({ MemberName($0) }) {
        case .core:
            return report(extension: name, "CE-27", "a core attribute cannot be set as an extension")
        case .data:
            return report(extension: name, "CE-05", "no attribute may be called 'data'")
        case .dataBase64, .other:
            guard copy.withUTF8({ AttributeRules.isName($0) }) else { return reportBadName(name) }
        }
        guard isFirst(extension: name) else { return }
        switch value {
        case .boolean, .integer, .binary, .timestamp:
            extensions.append(name, value)
        case .string(let text):
            if let fault = AttributeRules.fault(in: text) { return report(extension: name, fault.rule, fault.detail) }
            extensions.append(name, value)
        case .uri(var text):
            guard text.withUTF8({ URIReference.isAbsolute($0) }) else {
                return report(extension: name, "CE-13", "\(Quoting.quote(text)) is not an absolute URI (RFC 3986)")
            }
            extensions.append(name, value)
        case .uriReference(var text):
            guard text.withUTF8({ URIReference.isReference($0) }) else {
                return report(extension: name, "CE-14", "\(Quoting.quote(text)) is not a URI-reference (RFC 3986)")
            }
            extensions.append(name, value)
        }
    }

    mutating func reportBadName(_ name: String) {
        let detail = "\(Quoting.quote(name)) is not an attribute name: only a-z and 0-9, at least one"
        report(extension: name, "CE-03", detail)
    }

    /// Keeps data that is known to fit the content type.
    mutating func keep(_ data: EventData?) { self.data = data }

    /// Makes the event, or throws everything that was found.
    consuming func finish() throws(InvalidEvent) -> CloudEvent {
        let required: UInt16 = 0b1111
        if problems.isEmpty, present & required == required {
            return CloudEvent(
                id: id,
                source: source,
                type: type,
                subject: subject,
                time: time,
                dataContentType: dataContentType,
                dataSchema: dataSchema,
                extensions: extensions,
                checkedData: data
            )
        }
        throw failure()
    }

    private func failure() -> InvalidEvent {
        var all = problems
        for core in [CoreAttribute.specversion, .id, .source, .type] where present & Self.bit(core) == 0 {
            let detail = "the required attribute '\(core.name)' is missing"
            all.add(Violation(pointer: place.pointer(core.name), attribute: core.name, rule: "CE-01", detail: detail))
        }
        let nothing = Violation(pointer: place.whole, rule: "CE-01", detail: "the event is not valid")
        return InvalidEvent(all) ?? InvalidEvent(nothing)
    }
}
