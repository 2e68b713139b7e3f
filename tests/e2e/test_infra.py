"""What `infra/` says, held against what there is: metrics, settings, probes, and whatever reads a file of that kind here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from headwater import in_ci
from live_worker import worker_token

INFRA = Path(__file__).resolve().parents[2] / "infra"
CHART = INFRA / "helm/headwater"
METRIC = re.compile(r"\bheadwater_[a-z_]+")
#: Settings that are not Headwater's.
OTHERS = {"HEADWATER_IMAGE"}

#: Metrics that are there only once something has gone wrong.
UNTIL_THEN = {"headwater_component_traps_total", "headwater_access_log_lost_total"}


def render(text: str, values: dict) -> str:
    """The part of Helm's templates that the chart uses: values, `if`, one `range`, `default` and `toJson`."""
    names = {
        "Values": values,
        "Release": {"Name": "test", "Namespace": "video"},
        "Chart": yaml.safe_load((CHART / "Chart.yaml").read_text()),
    }
    names["Chart"]["AppVersion"] = names["Chart"]["appVersion"]

    def look(path: str):
        found = names
        for part in path.lstrip("$").strip(".").split("."):
            found = found[part]
        return found

    def repeat(match: re.Match) -> str:
        times = int(look(match.group("list")))
        return "".join(match.group("body").replace("{{ $pod }}", str(n)) for n in range(times))

    text = re.sub(
        r"\{\{- range \$pod := until \(int (?P<list>[.\w]+)\) \}\}(?P<body>.*?)\n\{\{- end \}\}",
        repeat, text, flags=re.S, count=1,
    )  # fmt: skip
    # What is indented stands inside of what is not.
    for indent in (r"\n +", r""):
        text = re.sub(
            indent + r"\{\{- if (?P<if>[.\w]+) \}\}(?P<body>.*?)" + (indent or r"\n") + r"\{\{- end \}\}",
            lambda match: match.group("body") if look(match.group("if")) else "", text, flags=re.S,
        )  # fmt: skip

    def value(match: re.Match) -> str:
        first, *pipe = [part.strip() for part in match.group(1).split("|")]
        found = look(first)
        for step in pipe:
            if step == "toJson":
                found = json.dumps(found)
            elif step.startswith("default "):
                found = found or look(step.removeprefix("default "))
            else:
                raise AssertionError(f"{step} is not rendered here")
        return str(found)

    return re.sub(r"\{\{ ([^}]+) \}\}", value, text)


def chart(**changes) -> list[dict]:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for path, changed in changes.items():
        *above, last = path.split("__")
        at = values
        for part in above:
            at = at[part]
        at[last] = changed
    found = []
    for file in sorted((CHART / "templates").glob("*.yaml")):
        text = render(file.read_text(), values)
        assert "{{" not in text, file
        found += [document for document in yaml.safe_load_all(text) if document]
    return found


def containers(documents: list[dict]) -> list[dict]:
    workloads = [document for document in documents if document["kind"] in ("Deployment", "StatefulSet")]
    return [container for workload in workloads for container in workload["spec"]["template"]["spec"]["containers"]]


@pytest.fixture(scope="module")
def settings() -> dict[str, set[str]]:
    """The variables that each command reads."""
    binary = os.environ.get("HEADWATER_BINARY") or pytest.fail("HEADWATER_BINARY names no binary")
    found = {}
    for verb in ("up", "transcoder", "ingest", "notifier", "blobstore"):
        told = subprocess.run([binary, verb, "--help"], capture_output=True, text=True, check=True).stdout
        found[verb] = set(re.findall(r"\[env: (HEADWATER_[A-Z0-9_]+)", told))
    # It is hidden from --help, because it should come from elsewhere.
    found["up"].add("HEADWATER_MASTER_KEY")
    return found


def test_alerts_and_dashboards_ask_for_metrics_that_are_exported(connection, http):
    # A request that is answered from memory, one of each kind of component, one that is refused.
    for path in ("/", "/api/ready", "/nothing/here", "/robots.txt"):
        http.get(connection.apiUrl + path, timeout=30)
    exported = set(METRIC.findall(http.get(connection.metricsUrl, timeout=60).text))
    alerts = yaml.safe_load((INFRA / "prometheus/alerts.yaml").read_text())
    expressions = [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    dashboard = json.loads((INFRA / "grafana/headwater.json").read_text())
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) > 10
    for expression in expressions:
        named = set(METRIC.findall(expression))
        assert named, expression
        assert named <= exported | UNTIL_THEN, f"{expression}: {sorted(named - exported)}"
        assert expression.count("(") == expression.count(")"), expression


def test_the_chart_sets_what_the_commands_read(settings):
    everything = chart(s3__bucket="media", s3__url="https://minio.example")
    assert {c["args"][0] for c in containers(everything)} == settings.keys()
    for container in containers(everything):
        verb = container["args"][0]
        named = {entry["name"] for entry in container["env"]} - {"POD_NAME"}
        assert named <= settings[verb], f"{verb}: {sorted(named - settings[verb])}"
        # A probe asks a port that the container opens, and the process listens there.
        ports = {port["name"] for port in container["ports"]}
        assert "metrics" in ports
        for probe in ("livenessProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert asked["port"] in ports and asked["path"] in ("/livez", "/readyz")
        listens = {"up": "HEADWATER_METRICS_LISTEN"}.get(verb, "HEADWATER_HEALTH_LISTEN")
        assert listens in named
        assert container["securityContext"]["readOnlyRootFilesystem"]


def test_the_chart_with_everything_off_and_on():
    kinds = [document["kind"] for document in chart()]
    assert kinds.count("ScaledObject") == 2 and "PodMonitor" not in kinds
    bare = [document["kind"] for document in chart(transcoder__keda=False, ingest__keda=False, ingress__enabled=False)]
    assert "ScaledObject" not in bare and "Ingress" not in bare
    assert "PodMonitor" in [document["kind"] for document in chart(monitors=True)]
    names = [document["metadata"]["name"] for document in chart() if document["kind"] == "Service"]
    assert {f"test-ingest-{n}" for n in range(6)} <= set(names)
    in_azure = {entry["name"] for container in containers(chart()) for entry in container["env"]}
    assert "HEADWATER_EVENT_BUCKETS" not in in_azure and "blobstore" not in {c["args"][0] for c in containers(chart())}
    for document in chart(s3__bucket="media"):
        if document["kind"] in ("Deployment", "StatefulSet"):
            wanted, has = document["spec"]["selector"]["matchLabels"], document["spec"]["template"]["metadata"]["labels"]
            assert wanted.items() <= has.items()


def test_what_scales_workers_is_told_by_the_api(connection, http):
    scaled = [document for document in chart() if document["kind"] == "ScaledObject"]
    secrets = {document["metadata"]["name"]: document["spec"]["secretTargetRef"] for document in chart() if document["kind"] == "TriggerAuthentication"}
    triggers = [trigger for document in scaled for trigger in document["spec"]["triggers"]]
    assert len(triggers) == 2
    bearer = {"Authorization": f"Bearer {worker_token(connection)}"}
    for trigger in triggers:
        asked = trigger["metadata"]
        assert trigger["type"] == "metrics-api" and asked["authMode"] == "bearer"
        (secret,) = secrets[trigger["authenticationRef"]["name"]]
        assert secret["parameter"] == "token" and secret["key"] == "workerToken"
        told = http.get(connection.apiUrl + urlsplit(asked["url"]).path, headers=bearer, timeout=30)
        assert told.status_code == 200, told.text
        value = told.json()
        for name in asked["valueLocation"].split("."):
            value = value[name]
        assert isinstance(value, int) and value >= 0 and float(asked["targetValue"]) > 0
        assert http.get(connection.apiUrl + urlsplit(asked["url"]).path, timeout=30).status_code == 401


def test_compose_sets_what_the_commands_read(settings):
    compose = yaml.safe_load((INFRA / "compose/docker-compose.yaml").read_text())
    services = compose["services"]
    assert {"postgres", "azurite", "nginx", "headwater-1", "headwater-2", "transcoder", "ingest", "notifier"} <= set(services)
    for name, service in services.items():
        environment = service.get("environment", {})
        named = {variable for variable in environment if variable.startswith("HEADWATER_")}
        if named:
            verb = service["command"][0]
            assert named <= settings[verb], f"{name}: {sorted(named - settings[verb])}"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source.startswith("./") or source in compose["volumes"], volume
    asked = set(re.findall(r"\$\{([A-Z_]+)", (INFRA / "compose/docker-compose.yaml").read_text())) - OTHERS
    example = (INFRA / "compose/.env.example").read_text()
    for variable in asked - {"HEADWATER_STORAGE_URL"}:
        assert f"{variable}=" in example, variable


def test_spinkube_names_variables_of_the_manifest():
    documents = list(yaml.safe_load_all((INFRA / "spinkube/headwater.yaml").read_text()))
    manifest = (INFRA.parent / "spin.toml").read_text().split("[variables]")[1].split("# ---- ")[0]
    known = set(re.findall(r"^(\w+) = \{", manifest, flags=re.M))
    required = set(re.findall(r"^(\w+) = \{ required = true", manifest, flags=re.M))
    app = next(document for document in documents if document["kind"] == "SpinApp")
    named = {variable["name"] for variable in app["spec"]["variables"]}
    assert named <= known and required <= named


def test_nginx_takes_its_configuration(tmp_path):
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.fail("nginx is not installed") if in_ci() else pytest.skip("nginx is not installed")
    text = (INFRA / "compose/nginx.conf").read_text()
    for host in ("headwater-1", "headwater-2"):
        text = text.replace(host, "127.0.0.1")
    text = text.replace("/tmp/", f"{tmp_path}/")
    (tmp_path / "nginx.conf").write_text(text)
    told = subprocess.run([nginx, "-t", "-e", "stderr", "-c", tmp_path / "nginx.conf"], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
