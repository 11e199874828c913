"""docker-compose.yml is valid, runs our own commands, opens nothing to the network and knows no password."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OURS = {"migrate", "api", "dispatch", "worker-cpu", "worker-predict", "worker-gpu", "ui"}
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text()


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def stage(name: str) -> str:
    """The lines of one Dockerfile stage."""
    return re.search(rf"^FROM \S+ AS {name}$(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL).group(
        1
    )


def check_schema(path: Path) -> subprocess.CompletedProcess[str]:
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_file_meets_the_compose_specification() -> None:
    result = check_schema(ROOT / "docker-compose.yml")
    assert result.returncode == 0, result.stdout


def test_the_schema_check_would_notice(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text("services: {api: {imaeg: x}}")
    assert check_schema(tmp_path / "docker-compose.yml").returncode != 0


def test_the_services_are_those_of_the_docs() -> None:
    assert set(SERVICES) == OURS | {"postgres", "redis"}
    page = (ROOT / "docs/containers.md").read_text()
    assert [name for name in SERVICES if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", sorted(OURS))
def test_the_command_exists(name: str) -> None:
    program, *arguments = SERVICES[name]["command"]
    assert Path(tool(program)).exists()
    if program == "vise":
        help_page = subprocess.run([tool("vise"), arguments[0], "--help"], capture_output=True, text=True)
        assert help_page.returncode == 0, help_page.stderr
        for option in [argument for argument in arguments if argument.startswith("--")]:
            assert option in re.sub(r"\x1b\[[0-9;]*m", "", help_page.stdout)


@pytest.mark.parametrize("name", sorted(OURS))
def test_an_image_without_compose_runs_the_same_program(name: str) -> None:
    service = SERVICES[name]
    target = service["build"]["target"]
    assert f"FROM base AS {target}\n" in DOCKERFILE
    if name in {"api", "ui"}:
        assert (
            yaml.safe_load(re.search(r"^CMD (\[.*\])$", stage(target), re.MULTILINE).group(1))
            == service["command"]
        )


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_that_stays_up_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    if name == "migrate":
        assert service["restart"] == "no"
    elif name == "dispatch":
        assert service["healthcheck"] == {"disable": True}
        assert service["restart"] == "unless-stopped"
    else:
        assert service["restart"] == "unless-stopped"
        assert "test" in service.get("healthcheck", {}) or "HEALTHCHECK" in stage(service["build"]["target"])


def test_ports_are_bound_to_this_machine_and_only_for_people() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"api", "ui"}
    assert all(port.startswith("${BIND:-127.0.0.1}:") for ports in published.values() for port in ports)


def test_the_pages_reach_neither_database_nor_broker() -> None:
    assert SERVICES["ui"]["networks"] == ["outside"]
    assert SERVICES["postgres"]["networks"] == SERVICES["redis"]["networks"] == ["inside"]
    assert not any(
        key.endswith(("DATABASE_URL", "BROKER_URL", "SECRET_KEY")) for key in SERVICES["ui"]["environment"]
    )


def test_secrets_have_no_default_and_compose_refuses_to_start_without_them() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ["POSTGRES_PASSWORD", "REDIS_PASSWORD"]:
        uses = re.findall(rf"\$\{{?{name}[^A-Z_].?", text)
        assert uses
        assert all(use == "${" + name + ":?" for use in uses), uses
        assert re.search(rf"^{name}=$", (ROOT / ".env.example").read_text(), re.MULTILINE)


def test_every_variable_of_the_file_is_explained_in_the_example() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text())) - {"TORCH"}
    example = (ROOT / ".env.example").read_text()
    assert [name for name in sorted(used) if not re.search(rf"^#?{name}=", example, re.MULTILINE)] == []


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_service_is_confined_and_limited(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]
    for limit in ("mem_limit", "cpus", "pids_limit"):
        value = re.sub(r"\$\{[A-Z_]+:-(.*)\}", r"\1", str(service[limit]))
        assert int(value.rstrip("gm")) > 0, limit
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"}
    if name in OURS:
        assert "USER 10001:10001" in stage(service["build"]["target"])
    else:
        assert service["user"] == name


def test_redis_refuses_clients_without_the_password() -> None:
    assert SERVICES["redis"]["command"] == ["redis-server", "/etc/redis.conf"]
    assert "requirepass ${REDIS_PASSWORD:?" in COMPOSE["configs"]["redis"]["content"]
    urls = [s["environment"]["VISE_BROKER_URL"] for n, s in SERVICES.items() if n in OURS - {"ui"}]
    assert urls
    assert all(url.startswith("redis://:${REDIS_PASSWORD:?") for url in urls)


def test_the_pages_know_the_address_that_browsers_use() -> None:
    """With https:// the session cookie is Secure."""
    assert SERVICES["ui"]["environment"]["VISE_PUBLIC_URL"] == "${PUBLIC_URL:-http://127.0.0.1:8501}"


@pytest.mark.parametrize("name", ["worker-cpu", "worker-gpu"])
def test_a_worker_gets_time_to_save_a_checkpoint(name: str) -> None:
    assert SERVICES[name]["stop_grace_period"] == "5m"


def test_the_gpu_worker_starts_only_when_asked_for_and_holds_one_gpu() -> None:
    worker = SERVICES["worker-gpu"]
    assert worker["profiles"] == ["gpu"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert len(device["device_ids"]) == 1
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["worker-gpu"]


def test_the_api_image_is_built_without_torch() -> None:
    assert "[api,s3]" in stage("build-api")
    assert "worker" not in stage("build-api")


def test_the_dockerfile_passes_hadolint() -> None:
    result = subprocess.run(
        [tool("hadolint"), str(ROOT / "docker/Dockerfile")], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


def test_the_build_context_holds_what_the_dockerfile_copies_and_no_more() -> None:
    copied = {
        source.rstrip("/")
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


def test_shell_scripts_are_valid_bash() -> None:
    bash = shutil.which("bash")
    for script in ["docker/check_images.sh", ".ci/run", ".ci/install_programs"]:
        assert subprocess.run([bash, "-n", str(ROOT / script)]).returncode == 0
