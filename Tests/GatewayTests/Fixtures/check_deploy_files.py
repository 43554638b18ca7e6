"""Checks the files of deploy/ that need no container engine to be checked.

usage: check_deploy_files.py FOLDER SLUICE              prints every finding, one a line
       check_deploy_files.py FOLDER SLUICE --mutations  breaks the files one way at a time and prints what stays unnoticed
       check_deploy_files.py FOLDER SLUICE --healthcheck  prints the words of the image's health check, one a line
       check_deploy_files.py FOLDER SLUICE --redis  prints the script that starts Redis in docker-compose.yml

FOLDER is deploy/, SLUICE the gateway's binary: its help says which settings exist.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import compose_spec
import kubernetes_validate
import yaml

SCHEMAS = ["1.30", "1.37"]
NAME = {"app.kubernetes.io/name": "sluice"}
NOT_APPLIED = {"secret.example.yaml", "servicemonitor.yaml", "kustomization.yaml"}
# After SIGTERM: DRAIN_GRACE, then twice DRAIN_TIMEOUT (requests, flushes), then margin; the first two by default.
DRAIN_GRACE, DRAIN_TIMEOUT, MARGIN = 5, 10, 5


class Files:
    """The files of a folder, one of which may have another text than on the disk."""

    def __init__(self, folder, changed=None, text=None):
        self.folder, self.changed, self.replacement = Path(folder), changed, text

    def text(self, name):
        return self.replacement if name == self.changed else (self.folder / name).read_text()

    def names(self, pattern):
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.glob(pattern))

    def exists(self, name):
        return (self.folder / name).exists()


class Sluice:
    """What the gateway's binary says of itself."""

    def __init__(self, binary):
        def run(*arguments):
            return subprocess.run([binary, *arguments], check=True, capture_output=True, text=True).stdout

        self.version = run("--version").strip()
        flags = re.findall(r"^  --([a-z-]+)[ /\n]", run("serve", "--help"), re.MULTILINE)
        self.settings = {flag.upper().replace("-", "_") for flag in flags}


def has(mapping, part):
    return all((mapping or {}).get(key) == value for key, value in part.items())


def seconds(text):
    return int(str(text).removesuffix("s"))


# Kubernetes


def check_kubernetes(files, sluice):
    names = files.names("kubernetes/*.yaml")
    manifests = {Path(name).name: list(yaml.safe_load_all(files.text(name))) for name in names}
    for name, documents in manifests.items():
        if len(documents) != 1:
            yield f"{name}: one resource a file"
        if name not in {"kustomization.yaml", "servicemonitor.yaml"}:
            yield from check_schema(name, documents[0])
    first = {name: documents[0] for name, documents in manifests.items()}
    listed = first["kustomization.yaml"]["resources"]
    for name in sorted(set(listed) ^ (set(first) - NOT_APPLIED)):
        yield f"kustomization.yaml: {name} is listed and missing, or there and not listed"
    for name, resource in first.items():
        namespace = resource["metadata"].get("namespace") if "metadata" in resource else "sluice"
        if resource["kind"] != "Namespace" and namespace != "sluice":
            yield f"{name}: not in the namespace sluice"
    yield from check_pod(first["deployment.yaml"], first["configmap.yaml"]["data"])
    yield from check_references(first)
    yield from check_settings(first, sluice)


def check_schema(name, resource):
    for version in SCHEMAS:
        try:
            kubernetes_validate.validate(resource, version, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
            yield f"{name}: schema {version}: {str(error).splitlines()[0]}"


def check_pod(deployment, settings):
    """The restricted profile of the Pod Security Standards, a read-only root, probes, limits and the time for draining."""
    pod = deployment["spec"]["template"]["spec"]
    container = pod["containers"][0]
    own, shared = container.get("securityContext", {}), pod.get("securityContext", {})
    rules = {
        "runs as a user that is not root": shared.get("runAsNonRoot") is True and shared.get("runAsUser", 0) > 0,
        "seccomp RuntimeDefault": shared.get("seccompProfile", {}).get("type") == "RuntimeDefault",
        "no privilege escalation": own.get("allowPrivilegeEscalation") is False,
        "drops all capabilities": own.get("capabilities", {}).get("drop") == ["ALL"],
        "adds no capability": not own.get("capabilities", {}).get("add"),
        "read-only root": own.get("readOnlyRootFilesystem") is True,
        "no host namespaces or volumes": not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & set(pod),
        "no service account token": pod.get("automountServiceAccountToken") is False,
        "three replicas": deployment["spec"]["replicas"] == 3,
        "streams of three copies": settings.get("STREAM_REPLICAS") == "3",
        "memory is requested and limited": all(
            "memory" in container["resources"].get(kind, {}) for kind in ("requests", "limits")
        ),
        "rollout takes none away": deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0,
        "spread over hosts": any(
            rule["topologyKey"] == "kubernetes.io/hostname" for rule in pod["topologySpreadConstraints"]
        ),
        "time for draining": pod["terminationGracePeriodSeconds"]
        >= int(settings["DRAIN_GRACE"]) + 2 * int(settings["DRAIN_TIMEOUT"]) + MARGIN,
    }
    for rule, holds in rules.items():
        if not holds:
            yield f"deployment.yaml: {rule}"
    paths = {"startupProbe": "/health/live", "livenessProbe": "/health/live", "readinessProbe": "/health/ready"}
    ports = {port["name"] for port in container["ports"]}
    for probe, path in paths.items():
        get = container.get(probe, {}).get("httpGet", {})
        if get.get("path") != path or get.get("port") not in ports:
            yield f"deployment.yaml: {probe}"
    ready = container["readinessProbe"]
    if ready["periodSeconds"] * ready["failureThreshold"] > 5:
        yield "deployment.yaml: not out of the balancer within 5 s"


def check_references(first):
    pod = first["deployment.yaml"]["spec"]["template"]
    labels, spec = pod["metadata"]["labels"], pod["spec"]
    selectors = {
        "deployment.yaml": first["deployment.yaml"]["spec"]["selector"]["matchLabels"],
        "service.yaml": first["service.yaml"]["spec"]["selector"],
        "poddisruptionbudget.yaml": first["poddisruptionbudget.yaml"]["spec"]["selector"]["matchLabels"],
        "networkpolicy.yaml": first["networkpolicy.yaml"]["spec"]["podSelector"]["matchLabels"],
    }
    for name, selector in selectors.items():
        if not selector or not has(labels, selector):
            yield f"{name}: selects no pod of the deployment"
    for rule in spec["topologySpreadConstraints"]:
        if not has(labels, rule["labelSelector"]["matchLabels"]):
            yield "deployment.yaml: spreads other pods than its own"
    monitor, service = first["servicemonitor.yaml"]["spec"], first["service.yaml"]
    if not has(service["metadata"]["labels"], monitor["selector"]["matchLabels"]):
        yield "servicemonitor.yaml: selects another service"
    if monitor["jobLabel"] not in service["metadata"]["labels"]:
        yield "servicemonitor.yaml: the job has no name"
    container = spec["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    service_ports = {port["name"] for port in service["spec"]["ports"]}
    targets = {port["targetPort"] for port in service["spec"]["ports"]}
    allowed = {port["port"] for rule in first["networkpolicy.yaml"]["spec"]["ingress"] for port in rule["ports"]}
    for name, used, known in [
        ("service.yaml", targets, ports),
        ("networkpolicy.yaml", allowed, ports),
        ("servicemonitor.yaml", {end["port"] for end in monitor["endpoints"]}, service_ports),
    ]:
        if not used <= known:
            yield f"{name}: a port that nothing has"
    sources = {kind: name["name"] for source in container["envFrom"] for kind, name in source.items()}
    wanted = {
        "configMapRef": first["configmap.yaml"]["metadata"]["name"],
        "secretRef": first["secret.example.yaml"]["metadata"]["name"],
    }
    if sources != wanted:
        yield "deployment.yaml: takes its settings from elsewhere"
    if spec["serviceAccountName"] != first["serviceaccount.yaml"]["metadata"]["name"]:
        yield "deployment.yaml: another service account"


def check_settings(first, sluice):
    plain, secret = first["configmap.yaml"]["data"], first["secret.example.yaml"]["stringData"]
    for name, keys in [("configmap.yaml", plain), ("secret.example.yaml", secret)]:
        for key in sorted(set(keys) - sluice.settings):
            yield f"{name}: no setting {key}"
    if set(secret) != {"NATS_URL", "REDIS_URL"} or set(plain) & set(secret):
        yield "secret.example.yaml: NATS_URL and REDIS_URL are secrets, and nothing else is"
    for key, value in secret.items():
        if set(re.findall(r"//\w+:([^@]*)@", value)) != {"REPLACE"}:
            yield f"secret.example.yaml: a password in {key}"
    image = first["deployment.yaml"]["spec"]["template"]["spec"]["containers"][0]["image"]
    if {first["kustomization.yaml"]["images"][0]["newTag"], image.rpartition(":")[2]} != {sluice.version}:
        yield f"deployment.yaml, kustomization.yaml: the image is not {sluice.version}"


# Docker Compose


def check_compose(files, sluice):
    source = files.text("docker-compose.yml")
    compose = yaml.safe_load(source)
    try:
        # The package knows no merge keys, which the YAML reader has resolved.
        compose_spec.PyCompose.from_json(json.dumps(compose)).to_spec()
    except ValueError as error:
        yield f"docker-compose.yml: schema: {str(error).splitlines()[0]}"
        return
    settings_only = re.sub(r"^\s*#.*", "", source, flags=re.MULTILINE)
    for variable in re.findall(r"(?<!\$)\$\{(\w+)(?!\w|:\?)", settings_only):
        yield f"docker-compose.yml: {variable} may be empty"
    for service, settings in compose["services"].items():
        yield from (f"docker-compose.yml: {service}: {rule}" for rule in broken_service_rules(settings))
        for volume in settings.get("volumes", []):
            path = volume.split(":")[0]
            if path.startswith("./") and not files.exists(path):
                yield f"docker-compose.yml: {service}: {path} does not exist"
        for key, value in settings["environment"].items() if "environment" in settings else []:
            if "PASSWORD" in key and "${" not in value:
                yield f"docker-compose.yml: {service}: a password in plain text"
    for service in ("nats", "redis"):
        if compose["services"][service]["networks"] != ["store"] or not compose["networks"]["store"]["internal"]:
            yield f"docker-compose.yml: {service} can be reached from elsewhere"
    gateway = compose["services"]["gateway"]
    for key in sorted(set(gateway["environment"]) - sluice.settings):
        yield f"docker-compose.yml: no setting {key}"
    if gateway["image"] != f"sluice:{sluice.version}":
        yield f"docker-compose.yml: the image is not {sluice.version}"
    if seconds(gateway["stop_grace_period"]) < DRAIN_GRACE + 2 * DRAIN_TIMEOUT + MARGIN:
        yield "docker-compose.yml: no time for draining"
    for part in ("--maxmemory-policy noeviction", "--appendonly yes", "user default off", "-@all"):
        if part not in compose["services"]["redis"]["command"][0]:
            yield f"docker-compose.yml: redis without {part}"
    given = set(compose["services"]["nats"]["environment"])
    wanted = set(nats_variables(files, "single.conf"))
    for variable in sorted(given ^ wanted):
        yield f"docker-compose.yml: {variable} is not what single.conf and the service share"
    prometheus = yaml.safe_load(files.text("prometheus/prometheus.yml"))
    mounted = {volume.split(":")[1] for volume in compose["services"]["prometheus"]["volumes"]}
    scrape = prometheus["scrape_configs"][0]["file_sd_configs"][0]["files"]
    for name in prometheus["rule_files"] + scrape:
        if f"/etc/prometheus/{name}" not in mounted:
            yield f"docker-compose.yml: prometheus lacks {name}"
    targets = yaml.safe_load(files.text("docker-compose.targets.yml"))
    if targets[0]["targets"] != ["gateway:8080"]:
        yield "docker-compose.targets.yml: not the gateway"


def broken_service_rules(settings):
    rules = {
        "read-only root": settings.get("read_only") is True,
        "drops all capabilities": settings.get("cap_drop") == ["ALL"],
        "gains no privileges": "no-new-privileges:true" in settings.get("security_opt", []),
        "health check": "test" in settings.get("healthcheck", {}),
        "limits": {"cpus", "memory", "pids"} <= set(settings["deploy"]["resources"]["limits"]),
        "a version of its image": not re.search(r":latest$|^[^:]*$", settings["image"]),
        "published on loopback only": all(port.startswith("127.0.0.1:") for port in settings.get("ports", [])),
    }
    return [rule for rule, holds in rules.items() if not holds]


def nats_variables(files, name):
    """The environment variables that a configuration of nats-server and what it includes take."""
    lines = [line.split("#")[0] for line in files.text(f"nats/{name}").splitlines()]
    for line in lines:
        yield from re.findall(r"(?<![\"\w.])\$(\w+)", line)
        for included in re.findall(r'^\s*include "(.*)"', line):
            yield from nats_variables(files, included)


# The image


def instructions(files):
    """The Dockerfile's instructions, continued lines joined, comments left out."""
    lines = [line for line in files.text("Dockerfile").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


def health_check(files):
    text = [rest for word, rest in instructions(files) if word == "HEALTHCHECK"][-1]
    return json.loads(text.split(" CMD ")[1])


def check_image(files, sluice):
    hadolint = Path(sys.executable).parent / "hadolint"
    lint = subprocess.run(
        [hadolint, "--no-color", "-"], input=files.text("Dockerfile"), capture_output=True, text=True, check=False
    )
    yield from (f"Dockerfile: {line}" for line in (lint.stdout + lint.stderr).splitlines())
    stages = instructions(files)
    bases = [rest.split()[0] for word, rest in stages if word == "FROM"]
    if set(bases) != {"${DEBIAN}"}:
        yield "Dockerfile: the stages are of different systems"
    last = stages[max(index for index, (word, _) in enumerate(stages) if word == "FROM") :]
    values = {word: rest for word, rest in last}
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", values.get("USER", "")):
        yield "Dockerfile: the user is not a number other than 0"
    if values.get("STOPSIGNAL") != "SIGTERM" or f"API_PORT={values.get('EXPOSE')}" not in values.get("ENV", ""):
        yield "Dockerfile: signal or port"
    if "HEALTHCHECK" not in values or "/health/live" not in " ".join(health_check(files)):
        yield "Dockerfile: health check"
    if ("ARG", f"VERSION={sluice.version}") not in last or "org.opencontainers.image.version" not in values["LABEL"]:
        yield f"Dockerfile: the label is not {sluice.version}"
    ignored = [line for line in files.text("Dockerfile.dockerignore").splitlines() if line and line[0] != "#"]
    if ignored[0] != "*" or any(re.search(r"resolved|\.git|\.build|\.env", line) for line in ignored[1:]):
        yield "Dockerfile.dockerignore: lets in what the build must not see"
    for source in [rest.split()[0] for word, rest in stages if word == "COPY" and not rest.startswith("--from")]:
        if f"!{source}" not in ignored:
            yield f"Dockerfile.dockerignore: leaves out {source}"


# What is wrong on purpose: file, text, its replacement, and the beginning of the finding that must come.
MUTATIONS = [
    ("kubernetes/deployment.yaml", "replicas: 3", "replica: 3", "deployment.yaml: schema"),
    ("kubernetes/deployment.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "deployment.yaml: runs as"),
    ("kubernetes/deployment.yaml", "drop: [ALL]", "drop: [NET_RAW]", "deployment.yaml: drops all"),
    ("kubernetes/deployment.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "deployment.yaml: read"),
    ("kubernetes/deployment.yaml", "PeriodSeconds: 30", "PeriodSeconds: 10", "deployment.yaml: time for draining"),
    ("kubernetes/deployment.yaml", "{path: /health/ready", "{path: /health", "deployment.yaml: readinessProbe"),
    ("kubernetes/deployment.yaml", "cpu: 500m", "cpus: 500m\n              cpu: [1]", "deployment.yaml: schema"),
    ("kubernetes/service.yaml", "targetPort: http", "targetPort: web", "service.yaml: a port"),
    ("kubernetes/service.yaml", "  selector:\n    app.kubernetes.io/name: sluice", "  selector:\n    app: x", "service.yaml: sel"),
    ("kubernetes/poddisruptionbudget.yaml", "maxUnavailable: 1", "maxUnavailabel: 1", "poddisruptionbudget.yaml: schema"),
    ("kubernetes/configmap.yaml", "DRAIN_TIMEOUT", "DRAIN_TIMEOUTS: \"1\"\n  DRAIN_TIMEOUT", "configmap.yaml: no setting"),
    ("kubernetes/configmap.yaml", 'DRAIN_TIMEOUT: "10"', 'DRAIN_TIMEOUT: "20"', "deployment.yaml: time for draining"),
    ("kubernetes/secret.example.yaml", "gateway:REPLACE@nats-1", "gateway:hunter2@nats-1", "secret.example.yaml: a password"),
    ("kubernetes/kustomization.yaml", "  - service.yaml\n", "", "kustomization.yaml: service.yaml"),
    ("kubernetes/networkpolicy.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: Ingress", "networkpolicy.yaml: schema"),
    ("docker-compose.yml", "read_only: true", "read_onli: true", "docker-compose.yml: schema"),
    ("docker-compose.yml", "cap_drop: [ALL]", "cap_drop: [CHOWN]", "docker-compose.yml: gateway: drops"),
    ("docker-compose.yml", "127.0.0.1:9090:9090", "9090:9090", "docker-compose.yml: prometheus: published"),
    ("docker-compose.yml", "NATS_MONITOR:", "NATS_MONITORING:", "docker-compose.yml: NATS_MONITOR"),
    ("docker-compose.yml", "${GRAFANA_PASSWORD:?see the head of docker-compose.yml}", "admin", "docker-compose.yml: grafana: a p"),
    ("docker-compose.yml", "${GRAFANA_PASSWORD:?see the head of docker-compose.yml}", "${GRAFANA_PASSWORD}", "docker-compose.yml: G"),
    ("docker-compose.yml", "./prometheus/alerts.yml:", "./prometheus/alarms.yml:", "docker-compose.yml: prometheus: ./"),
    ("docker-compose.yml", "internal: true", "internal: false", "docker-compose.yml: nats can be reached"),
    ("nats/accounts.conf", "$NATS_AUDITOR_PASSWORD", "$NATS_READER_PASSWORD", "docker-compose.yml: NATS_AUDITOR_PASSWORD"),
    ("Dockerfile", "USER 65532:65532", "USER sluice", "Dockerfile: the user"),
    ("Dockerfile", "--no-install-recommends \\\n        ca-certificates libhiredis1", "\\\n        ca-certificates libhiredis1", "Dockerfile: "),
    ("Dockerfile", "EXPOSE 8080", "EXPOSE 8081", "Dockerfile: signal or port"),
    ("Dockerfile.dockerignore", "!Sources\n", "", "Dockerfile.dockerignore: leaves out Sources"),
    ("Dockerfile.dockerignore", "!Sources\n", "!Sources\n!Package.resolved\n", "Dockerfile.dockerignore: lets in"),
]


CHECKS = {"kubernetes": [check_kubernetes], "docker-compose": [check_compose], "nats": [check_compose], "Dockerfile": [check_image]}


def findings(files, sluice, checks=(check_kubernetes, check_compose, check_image)):
    for check in checks:
        try:
            yield from check(files, sluice)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            yield f"{check.__name__} cannot go on: {type(error).__name__} {error}"


def unnoticed(folder, sluice):
    for name, old, new, expected in MUTATIONS:
        text = Path(folder, name).read_text()
        files = Files(folder, name, text.replace(old, new, 1))
        checks = CHECKS[re.split(r"[/.]", name)[0]]
        if old not in text:
            yield f"{name} has no {old!r}"
        elif not any(line.startswith(expected) for line in findings(files, sluice, checks)):
            yield f"{name}: {new!r} instead of {old!r} is not noticed"


def main():
    folder, sluice = sys.argv[1], Sluice(sys.argv[2])
    if sys.argv[3:] == ["--mutations"]:
        lines = unnoticed(folder, sluice)
    elif sys.argv[3:] == ["--healthcheck"]:
        lines = health_check(Files(folder))
    elif sys.argv[3:] == ["--redis"]:
        services = yaml.safe_load(Files(folder).text("docker-compose.yml"))["services"]
        lines = [services["redis"]["command"][0].replace("$$", "$")]
    else:
        lines = findings(Files(folder), sluice)
    for line in lines:
        print(line)


main()
