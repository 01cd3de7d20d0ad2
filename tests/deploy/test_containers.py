"""The rules of the images and of the compose file: no rights, no secrets, nothing that is not pinned."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from tests.sources import PROJECTS

from antiphon.kernel.runtime.settings import HTTP_PORT

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
IMAGES = ("api", "worker")
EXTRAS = {"api": ("kernels",), "worker": ("onnx", "pipeline")}
LEFT_OUT = {"api": set(), "worker": {"pyo", "python-rtmidi"}}
"""As tools/containers.py has it, of what this project itself asks for."""


def instructions() -> dict[str, list[tuple[str, str]]]:
    """Of each stage by its name: (instruction, words), with continued lines joined and comments left out."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Containerfile").read_text(), flags=re.MULTILINE)
    stages: dict[str, list[tuple[str, str]]] = {"": []}
    name = ""
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            name = rest.split(" AS ")[1]
            stages[name] = []
        stages[name].append((word, rest.strip()))
    return stages


def of(stage: str, word: str) -> list[str]:
    return [rest for name, rest in instructions()[stage] if name == word]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_without_rights_and_begins_empty(image: str) -> None:
    lines = instructions()[image]
    assert lines[0] == ("FROM", f"scratch AS {image}")
    users = [at for at, (word, _) in enumerate(lines) if word == "USER"]
    assert [lines[at][1] for at in users] == ["10001:10001"]
    last = lines[users[0] :]
    assert "ENTRYPOINT" in dict(last)
    assert not {"ADD", "COPY"} & {word for word, _ in last}, "what the user owns could be changed by it"
    # no shell is there to read them
    for word in ("RUN", "ENTRYPOINT", "CMD"):
        assert all(rest.startswith('["') for rest in of(image, word)), word
    assert "CMD [" in of(image, "HEALTHCHECK")[0]
    assert of(image, "STOPSIGNAL") == ["SIGTERM"]
    assert of(image, "ENTRYPOINT")[0].startswith('["/usr/bin/tini"')
    assert of(image, "VOLUME") == ['["/var/lib/antiphon", "/tmp"]']


def test_the_api_answers_on_one_port_and_asks_its_own_health() -> None:
    assert of("api", "EXPOSE") == [f"{HTTP_PORT}/tcp"]
    assert f"http://127.0.0.1:{HTTP_PORT}/api/health" in of("api", "HEALTHCHECK")[0]
    assert any("ANTIPHON_PROXY=localhost" in rest for rest in of("api", "ENV"))
    assert "--lan" not in of("api", "CMD")[0]


def test_no_secret_and_no_address_of_one_is_in_an_image() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    for word in ("ANTIPHON_TOKEN", "password", "PASSWORD", "index-url", "trusted-host"):
        assert word not in text
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    assert ignored[1:4] == ["*", "!deploy", "!dist/containers"], "an image is built of these alone"


@pytest.mark.parametrize("image", IMAGES)
def test_packages_are_pinned_with_digests_and_are_what_the_project_asks_for(image: str) -> None:
    lines = (DEPLOY / f"requirements-{image}.txt").read_text().splitlines()[1:]
    pinned = {}
    for line in lines:
        match = re.fullmatch(r"([a-z0-9-]+)==(\S+) --hash=sha256:[0-9a-f]{64}", line)
        assert match, line
        pinned[match[1]] = Version(match[2])
    assert not {"torch", "tensorflow", "pip", "setuptools"} & pinned.keys()
    *projects, lab = (tomllib.loads(file.read_text())["project"] for file in PROJECTS)
    asked = [need for project in projects for need in project["dependencies"] if need != "antiphon==0.1.0"]
    extras = {**projects[0]["optional-dependencies"], **lab["optional-dependencies"]}
    for extra in EXTRAS[image]:
        asked += extras[extra]
    for text in asked:
        wanted = Requirement(text)
        name = wanted.name.lower().replace("_", "-")
        if name == "antiphon":
            asked += [need for extra in wanted.extras for need in extras[extra]]
            continue
        if name in LEFT_OUT[image]:
            assert name not in pinned
            continue
        if wanted.marker is None or wanted.marker.evaluate({"python_version": "3.11", "extra": ""}):
            assert name in pinned, f"{name} is not in the list: make containers ARGS=lock"
            assert pinned[name] in wanted.specifier, f"{name} {pinned[name]} is not {wanted}: make containers ARGS=lock"


def test_both_images_are_installed_from_wheels_that_were_checked() -> None:
    for stage in ("api-environment", "worker-environment"):
        install = " ".join(of(stage, "RUN"))
        assert "--no-index" in install
        assert "--require-hashes" in install
        assert "--no-deps" in install


def test_a_worker_loses_llvm_and_its_analyses_are_tried_after() -> None:
    build = " ".join(of("worker-environment", "RUN"))
    assert build.index("wheels/antiphon") < build.index("rm -r /opt/antiphon/lib/python3.11/site-packages/llvmlite")
    assert "llvmlite" not in " ".join(of("api-environment", "RUN")), "a server compiles what performers' plugins bring"
    lines = instructions()["worker"]
    tried = next(at for at, (word, rest) in enumerate(lines) if word == "RUN" and '"analyses"' in rest)
    assert lines.index(("USER", "10001:10001")) < tried


def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML, of the tests' extra, is not installed")
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def test_every_service_is_hardened() -> None:
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["user"].split(":")[0] not in ("", "0", "root"), name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["tmpfs"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert "privileged" not in service, name
        assert service.get("network_mode") is None, name
        assert not any("docker.sock" in volume for volume in service.get("volumes", ())), name


def test_only_the_api_is_published_and_on_this_machine_alone() -> None:
    services = compose()["services"]
    assert {name for name, service in services.items() if "ports" in service} == {"api"}
    assert services["api"]["ports"] == [f"127.0.0.1:{HTTP_PORT}:{HTTP_PORT}"]
    inside = compose()["networks"]
    assert inside["cluster"]["internal"] is True
    assert all(services[name]["networks"] == ["cluster"] for name in ("scheduler", "worker", "pipeline"))


def test_the_token_is_a_secret_and_in_no_variable() -> None:
    services = compose()["services"]
    api = services["api"]
    assert api["environment"]["ANTIPHON_TOKEN_FILE"] == f"/run/secrets/{api['secrets'][0]}"
    assert set(compose()["secrets"]) == set(api["secrets"])
    for name, service in services.items():
        assert "ANTIPHON_TOKEN" not in service.get("environment", {}), name
        assert "token" not in " ".join(service.get("command", [])), name
