"""docker-compose.yml as far as it can be judged without an engine: its form, its secrets, its ports, its images."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from resources.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
COMPOSE = PROJECT / "docker-compose.yml"
DOCUMENT: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
ONE_SHOT = {"migrate", "metabase-database"}
ADMINISTRATORS = {"postgres", *ONE_SHOT}

_VARIABLE = re.compile(r"(?<!\$)\$(?:\{([A-Za-z_]\w*)([^}]*)\}|([A-Za-z_]\w*))")


def examples() -> list[str]:
    """The variables of .env.example, each of them empty."""
    lines = (PROJECT / ".env.example").read_text().splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    assert all(value == "" for _, _, value in pairs), "an example is no place for a password"
    return [name for name, _, _ in pairs]


def compose_program() -> list[str] | None:
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, timeout=30)
        if plugin.returncode == 0:
            return ["docker", "compose"]
    return None


@pytest.fixture
def program() -> list[str]:
    found = compose_program()
    if found is None:
        pytest.skip("neither docker-compose nor the compose plugin is installed")
    return found


def validate(program: list[str], environment: Path) -> subprocess.CompletedProcess[str]:
    command = [*program, "--env-file", str(environment), "--file", str(COMPOSE), "config", "--quiet"]
    # Nothing of this process's environment: a variable that is set here must not hide one that is missing there.
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env={"PATH": "/usr/local/bin:/usr/bin:/bin"}
    )


def test_compose_accepts_the_file(program: list[str], tmp_path: Path) -> None:
    environment = tmp_path / "filled.env"
    environment.write_text("".join(f"{name}=0123456789abcdef\n" for name in examples()))
    done = validate(program, environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", examples())
def test_a_missing_password_stops_the_start_and_is_named(program: list[str], tmp_path: Path, missing: str) -> None:
    environment = tmp_path / "incomplete.env"
    environment.write_text("".join(f"{name}=0123456789abcdef\n" for name in examples() if name != missing))
    done = validate(program, environment)
    assert done.returncode != 0
    assert missing in done.stderr


def test_the_services_are_those_of_the_production_shape() -> None:
    assert set(SERVICES) == {
        "postgres", "migrate", "dagster-webserver", "dagster-daemon", "api", "mlflow", "metabase-database", "metabase",
    }  # fmt: skip
    assert set(DOCUMENT) <= {"services", "volumes"} | {key for key in DOCUMENT if key.startswith("x-")}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_watched_and_started_again_unless_it_runs_once(name: str) -> None:
    service = SERVICES[name]
    if name in ONE_SHOT:
        assert service["restart"] == "no"
        return
    assert service["restart"] == "unless-stopped"
    check = service["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] not in {"", "root", "0", "0:0"}
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged") and service.get("network_mode") is None


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    tag = SERVICES[name]["image"].rpartition("/")[2].partition(":")[2]
    assert re.search(r"\d+\.\d+", tag), f"{SERVICES[name]['image']} names no version"


def test_the_images_that_are_built_start_from_a_pinned_one_and_do_not_run_as_root() -> None:
    lines = (PROJECT / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert bases and all(re.search(r":\d+\.\d+\.\d+", base) for base in bases)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == [SERVICES["api"]["user"]]


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_open_to_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


def test_no_two_services_take_one_port() -> None:
    published = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == len(set(published))


@pytest.mark.parametrize("name", SERVICES)
def test_a_secret_comes_from_the_environment_and_has_no_default(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search(r"PASS|SECRET|TOKEN|KEY", variable):
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), f"{variable} is {value}"
        assert not re.search(r"://[^@/]*:[^@/]*@", str(value)), f"{variable} holds a password in a URL"


def test_every_variable_is_required_and_in_the_example_and_every_example_is_used() -> None:
    found = _VARIABLE.findall(COMPOSE.read_text())
    assert all(braced and rest.startswith(":?") for braced, rest, _ in found), "a variable may be left empty"
    assert {braced for braced, _, _ in found} == set(examples())


def test_only_who_has_to_knows_the_administrators_password() -> None:
    knowing = {name for name, service in SERVICES.items() if "{POSTGRES_PASSWORD" in str(service.get("environment"))}
    assert knowing == ADMINISTRATORS


def test_every_volume_is_named_and_declared_and_every_declared_one_is_used() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(DOCUMENT["volumes"])
    assert all(re.fullmatch(r"[a-z-]+", name) for name in used)


def test_nothing_starts_before_what_it_needs() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
            assert how["condition"] == expected, f"{name} on {needed}"
    waiting = {name for name, service in SERVICES.items() if "migrate" in service.get("depends_on", {})}
    assert waiting == set(SERVICES) - ADMINISTRATORS


@pytest.fixture(scope="module")
def entrypoint() -> ModuleType:
    spec = importlib.util.spec_from_file_location("entrypoint", PROJECT / "container" / "entrypoint.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("migrate", {"CAUSEWAY_DAGSTER_URL", "MLFLOW_BACKEND_STORE_URI", "CAUSEWAY_API_DATABASE_URL"}),
        ("dagster-webserver", {"CAUSEWAY_DAGSTER_URL", "MLFLOW_BACKEND_STORE_URI"}),
        ("dagster-daemon", {"CAUSEWAY_DAGSTER_URL", "MLFLOW_BACKEND_STORE_URI"}),
        ("mlflow", {"CAUSEWAY_DAGSTER_URL", "MLFLOW_BACKEND_STORE_URI"}),
        ("api", {"CAUSEWAY_API_DATABASE_URL"}),
    ],
)
def test_a_container_is_told_the_addresses_of_its_own_roles(entrypoint: ModuleType, name: str, told: set[str]) -> None:
    environment = {
        variable: "it's a p@ss/word" if "PASSWORD" in variable else value
        for variable, value in SERVICES[name]["environment"].items()
    }
    addresses = entrypoint.addresses(Settings.from_environment(environment))
    assert set(addresses) == told
    assert all(":it%27s%20a%20p%40ss%2Fword@postgres:5432/causeway" in address for address in addresses.values())


def test_the_entrypoint_gives_dagster_a_home(
    entrypoint: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DAGSTER_HOME", "CAUSEWAY_DAGSTER_URL", "MLFLOW_BACKEND_STORE_URI"):
        monkeypatch.setenv(name, "")
    environment = {**SERVICES["dagster-daemon"]["environment"], "CAUSEWAY_HOME": str(tmp_path)}
    entrypoint.prepare(Settings.from_environment(environment))
    assert (tmp_path / "dagster" / "dagster.yaml").read_text() == (PROJECT / "dagster.yaml").read_text()
    assert entrypoint.os.environ["DAGSTER_HOME"] == str(tmp_path / "dagster")
