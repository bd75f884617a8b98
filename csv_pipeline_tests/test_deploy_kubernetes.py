"""`deploy/kubernetes`: manifests by the cluster's schemas, values by what Dagster reads of them.

The schema of Dagster's chart is in no package that is reachable here. So the values are turned into
the instance's configuration as the chart's templates do, and Dagster holds it to its own.
"""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.launcher import K8sRunLauncher

from csv_pipeline.settings import Settings
from csv_pipeline_tests.test_deploy_compose import PROGRAMS, parse

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy" / "kubernetes"
MANIFESTS: list[dict[str, Any]] = list(
    yaml.safe_load_all((DEPLOY / "csv-pipeline.yaml").read_text())
)
VALUES: dict[str, Any] = yaml.safe_load((DEPLOY / "values.yaml").read_text())
USUAL: dict[str, Any] = yaml.safe_load((ROOT / "dagster.yaml").read_text())
(LOCATION,) = VALUES["dagster-user-deployments"]["deployments"]
# Names in them are the cluster's own, or those of tags.
_AS_THEY_ARE = {"runK8sConfig", "resources", "securityContext", "volumes", "volumeMounts", "value"}


def snaked(values: Any, *, deep: bool = True) -> Any:
    """Return the chart's names as Dagster's, which has them in small letters."""
    if isinstance(values, list):
        return [snaked(one) for one in values] if deep else values
    if not isinstance(values, dict) or not deep:
        return values
    return {
        re.sub(r"(?<=[a-z0-9])(K8s|[A-Z])", r"_\1", name).casefold(): snaked(
            its, deep=name not in _AS_THEY_ARE
        )
        for name, its in values.items()
    }


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda its: its["kind"])
def test_every_manifest_is_one_of_the_cluster(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_the_launcher_takes_its_values() -> None:
    told = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    config = snaked(told) | {"run_k8s_config": kubernetes_names(told["runK8sConfig"])}
    config["env_config_maps"] = [one["name"] for one in config["env_config_maps"]]
    config["env_secrets"] = [one["name"] for one in config["env_secrets"]]
    needed = {"instance_config_map": "i", "postgres_password_secret": "p", "dagster_home": "/d"}
    config |= needed | {"service_account_name": VALUES["global"]["serviceAccountName"]}
    found = validate_config(K8sRunLauncher.config_type(), config)  # type: ignore[no-untyped-call]
    assert found.success, found.errors
    K8sContainerContext.create_from_config({"k8s": {"run_k8s_config": config["run_k8s_config"]}})


def kubernetes_names(config: dict[str, Any]) -> dict[str, Any]:
    return {
        re.sub(r"[A-Z]", lambda found: f"_{found[0].casefold()}", name): its
        for name, its in config.items()
    }


def test_runs_are_queued_watched_and_retried_as_everywhere() -> None:
    daemon = snaked(VALUES["dagsterDaemon"])
    made = {
        "run_queue": daemon["run_coordinator"]["config"]["queued_run_coordinator"],
        "run_retries": daemon["run_retries"],
        "run_monitoring": daemon["run_monitoring"],
        "sensors": daemon["sensors"],
        "schedules": daemon["schedules"],
        "retention": {
            key: its for key, its in snaked(VALUES["retention"]).items() if key != "enabled"
        },
        "python_logs": snaked(VALUES["pythonLogs"]),
        "telemetry": VALUES["telemetry"],
    }
    found = validate_config(dagster_instance_config_schema(), made)
    assert found.success, found.errors
    # The chart has no word for how long runs wait for a code server, which Kubernetes restarts.
    usual = USUAL["run_queue"]
    of_the_machine = {"max_concurrent_runs", *(name for name in usual if "user_code" in name)}
    made["run_queue"] |= {name: usual[name] for name in of_the_machine}
    assert made["run_monitoring"].pop("max_resume_run_attempts") == 0
    assert made == {name: USUAL[name] for name in made}


def test_every_command_line_is_one_that_its_program_takes() -> None:
    for manifest in MANIFESTS:
        for container in containers(manifest):
            program, *rest = container["args"]
            parse(PROGRAMS[program], rest)
    # By the other arguments it starts a code server that goes on when its process was killed.
    assert "codeServerArgs" not in LOCATION
    of_the_chart = ["api", "grpc", "-h", "::", "-p", str(LOCATION["port"])]
    parse(PROGRAMS["dagster"], [*of_the_chart, *LOCATION["dagsterApiGrpcArgs"]])


def test_every_variable_is_one_that_is_read_and_every_secret_is_made_by_the_readme() -> None:
    (config,) = [one for one in MANIFESTS if one["kind"] == "ConfigMap"]
    names = [
        *config["data"],
        *(one["name"] for its in MANIFESTS for c in containers(its) for one in c.get("env", ())),
    ]
    known = {f"CSV_PIPELINE_{name.upper()}" for name in Settings.model_fields}
    assert set(names) - known == {"AWS_DEFAULT_REGION", "FORWARDED_ALLOW_IPS"}
    text = (DEPLOY / "README.md").read_text()
    secrets = set(
        re.findall(r"csv-pipeline-(?:owner|engine|api)\b", (DEPLOY / "values.yaml").read_text())
    )
    secrets |= {
        c["secretRef"]["name"]
        for its in MANIFESTS
        for one in containers(its)
        for c in one["envFrom"]
        if "secretRef" in c
    }
    assert secrets == set(re.findall(r"create secret generic (csv-pipeline-\w+)", text))


def test_what_the_cluster_tells_pods_of_our_services_is_no_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
    services = [one["metadata"]["name"] for one in MANIFESTS if one["kind"] == "Service"]
    for name in (*services, LOCATION["name"]):  # the chart makes one for the code location
        its = name.upper().replace("-", "_")
        for variable, value in {
            "SERVICE_HOST": "10.0.0.11",
            "SERVICE_PORT": "80",
            "SERVICE_PORT_HTTP": "80",
            "PORT": "tcp://10.0.0.11:80",
            "PORT_80_TCP": "tcp://10.0.0.11:80",
            "PORT_80_TCP_PROTO": "tcp",
            "PORT_80_TCP_PORT": "80",
            "PORT_80_TCP_ADDR": "10.0.0.11",
        }.items():
            monkeypatch.setenv(f"{its}_{variable}", value)
    assert Settings().files_per_run == 200
    monkeypatch.setenv("CSV_PIPELINE_PORT", "8000")
    with pytest.raises(ValueError, match="found CSV_PIPELINE_PORT"):
        Settings()


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])
    )
    return found


def test_no_container_runs_as_root_or_may_become_more() -> None:
    for manifest in MANIFESTS:
        for container in containers(manifest):
            pod = manifest["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["automountServiceAccountToken"] is False
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert "memory" in container["resources"]["limits"]
