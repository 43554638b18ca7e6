import CoreMetrics
import Foundation
import PrometheusMetrics
import ServerFixtures
import Testing

/// What Prometheus' own tool says of bodies and of the files for operators.
@Suite struct PromtoolTests {
    private func gateway() -> PrometheusRegistry {
        let registry = PrometheusRegistry()
        for metric in GatewaySet.metrics { registry.declare(metric) }
        GatewaySet.fill(registry)
        return registry
    }

    @Test func `the gateway's metrics pass promtool check metrics, its advice included`() throws {
        let result = try Program.run("promtool", ["check", "metrics"], input: gateway().render())
        #expect(result.status == 0)
        #expect(result.output.isEmpty)
    }

    @Test func `undeclared metrics pass it too`() throws {
        let registry = PrometheusRegistry()
        Counter(label: "jobs done", dimensions: [("a \"b\"\\\n", "\"\\\n\u{0}\r")], factory: registry).increment()
        Timer(label: "work", factory: registry).recordNanoseconds(1)
        FloatingPointCounter(label: "amount", factory: registry).increment(by: 1e300)
        Recorder(label: "sizes", factory: registry).record(Double.infinity)
        for value in [Double.nan, .infinity, -.infinity, .leastNonzeroMagnitude] {
            Gauge(label: "temperature", dimensions: [("of", "\(value)")], factory: registry).record(value)
        }
        let result = try Program.run("promtool", ["check", "metrics"], input: registry.render())
        #expect(result.status == 0)
        #expect(result.output.isEmpty)
    }

    @Test func `promtool does complain when there is a reason`() throws {
        let registry = PrometheusRegistry()
        registry.declare(.gauge("wrong_total", help: "A gauge named like a counter."))
        Gauge(label: "wrong_total", factory: registry).record(1)
        let advice = try Program.run("promtool", ["check", "metrics"], input: registry.render())
        #expect(advice.status == 3)
        let body = registry.render() + registry.render()
        let refusal = try Program.run("promtool", ["check", "metrics"], input: body)
        #expect(refusal.status == 1)
    }

    @Test func `the configuration and the alert rules are valid`() throws {
        let folder = DeployFiles.folder.appending(path: "prometheus")
        let configuration = try Program.run("promtool", ["check", "config", "prometheus.yml"], in: folder)
        #expect(configuration.status == 0, "\(configuration.output)")
        let rules = try Program.run("promtool", ["check", "rules", "alerts.yml"], in: folder)
        #expect(rules.status == 0, "\(rules.output)")
    }

    @Test func `every alert fires and does not fire as it should`() throws {
        let folder = DeployFiles.folder.appending(path: "prometheus")
        let result = try Program.run("promtool", ["test", "rules", "alerts-test.yml"], in: folder)
        #expect(result.status == 0, "\(result.output)")
        let alerts = try DeployFiles.text("prometheus/alerts.yml").matches(of: /- alert: (\w+)/).map { String($0.1) }
        let tests = try DeployFiles.text("prometheus/alerts-test.yml")
        #expect(alerts.count >= 31)
        #expect(try DeployFiles.readme().contains(" \(alerts.count) alert rules "))
        #expect(Set(alerts).count == alerts.count)
        for alert in alerts {
            #expect(tests.contains("alertname: \(alert)\n        exp_alerts:\n"), "\(alert) is never shown firing")
            #expect(tests.contains("alertname: \(alert)\n        exp_alerts: []\n"), "\(alert) is never shown silent")
        }
    }

    @Test(arguments: ["prometheus/alerts.yml", "prometheus/alerts-test.yml", "grafana/sluice.json"])
    func `the files for operators name only metrics that the gateway has`(path: String) throws {
        let known = try GatewaySet.sampleNames
        let named = Set(try DeployFiles.text(path).matches(of: /\bsluice_[a-z_]+/).map { String($0.0) })
        #expect(named.count > 10)
        #expect(named.subtracting(known).isEmpty)
    }

    @Test func `the dashboard shows every metric of the README, and our set has them all`() throws {
        let row = /^\| `(sluice_[a-z_]+)` \| (\w+) \|/.anchorsMatchLineEndings()
        let rows = try DeployFiles.readme().matches(of: row)
        let documented = Dictionary(uniqueKeysWithValues: rows.map { (String($0.1), String($0.2)) })
        #expect(documented.count > 60)
        let registry = PrometheusRegistry()
        for metric in GatewaySet.metrics { registry.declare(metric) }
        GatewaySet.fill(registry)
        #expect(try Exposition(registry).types == documented)
        let dashboard = try DeployFiles.text("grafana/sluice.json")
        for (name, type) in documented {
            let series = type == "histogram" ? name + "_bucket" : name
            #expect(dashboard.contains(series + "{"), "\(name)")
        }
    }
}
