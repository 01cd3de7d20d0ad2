"""Terraform's files: their syntax, what they refer to, and what they must not open. No provider is needed."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from antiphon.kernel.runtime.settings import HTTP_PORT

hcl2 = pytest.importorskip("hcl2", reason="python-hcl2, of the tests' extra, is not installed")
FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "terraform"
CLOUDS = ("aws", "gcp")


@cache
def text(cloud: str) -> str:
    return "\n".join(path.read_text() for path in sorted((FOLDER / cloud).glob("*.tf")))


@cache
def parsed(cloud: str) -> dict[str, list[Any]]:
    """Blocks of all files by their kind; a parser's error is a fault of syntax."""
    found: dict[str, list[Any]] = {}
    for path in sorted((FOLDER / cloud).glob("*.tf")):
        with path.open() as file:
            for kind, blocks in hcl2.load(file).items():
                found.setdefault(kind, []).extend(blocks if isinstance(blocks, list) else [blocks])
    return found


def named(cloud: str, kind: str) -> dict[str, dict[str, Any]]:
    """Blocks with labels: "aws_lb.api", or for variables the name."""
    found = {}
    for block in parsed(cloud).get(kind, []):
        for label, inner in block.items():
            label = label.strip('"')
            if label.startswith("__"):
                continue
            if kind in ("resource", "data"):
                for name, body in inner.items():
                    found[f"{label}.{name.strip(chr(34))}"] = body
            else:
                found[label] = inner
    return found


@pytest.mark.parametrize("cloud", CLOUDS)
def test_what_is_referred_to_is_there_and_used(cloud: str) -> None:
    code = re.sub(r'(?m)^\s*(#|//).*$|description\s*=\s*".*"$', "", text(cloud))
    variables, locals_ = named(cloud, "variable"), parsed(cloud)["locals"][0]
    used = set(re.findall(r"\bvar\.(\w+)", code))
    assert used == set(variables)
    assert set(re.findall(r"\blocal\.(\w+)", code)) == {
        name.strip('"') for name in locals_ if not name.startswith("__")
    }
    resources, data = named(cloud, "resource"), named(cloud, "data")
    provider = {"aws": "aws", "gcp": "google"}[cloud]
    referred = set(re.findall(rf"(?<![\w.\"])({provider}_\w+\.\w+)", code))
    assert referred <= set(resources), referred - set(resources)
    assert set(re.findall(rf"\bdata\.({provider}_\w+\.\w+)", code)) == set(data)
    assert len(resources) >= 4


@pytest.mark.parametrize("cloud", CLOUDS)
def test_variables_are_described_and_no_secret_is_one(cloud: str) -> None:
    for name, variable in named(cloud, "variable").items():
        assert variable["description"].strip('"'), name
        assert variable["type"], name
    assert not {"token", "password", "secret"} & set(named(cloud, "variable"))
    assert not re.search(r"\b[0-9a-f]{32}\b", text(cloud))
    assert "secret_string" not in text(cloud)
    assert "secret_data" not in text(cloud), "a secret that Terraform makes is in its state file"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_image_is_pinned_the_health_checked_and_the_provider_bounded(cloud: str) -> None:
    code = text(cloud)
    assert 'strcontains(var.image, "@sha256:")' in code
    assert len(re.findall(r'"/api/health"', code)) >= 1
    assert re.search(rf"port\s*=\s*{HTTP_PORT}\b", code)
    assert re.search(r'version = "~> \d+\.\d+"', code)
    assert "required_version" in code


def test_on_aws_only_the_balancer_is_reached_from_outside() -> None:
    rules = {name: rule for name, rule in named("aws", "resource").items() if "ingress_rule" in name}
    from_outside = {name for name, rule in rules.items() if any(key.startswith("cidr") for key in rule)}
    assert from_outside == {"aws_vpc_security_group_ingress_rule.https"}
    assert "default" not in named("aws", "variable")["allowed_cidrs"]
    assert "assign_public_ip = false" in text("aws")
    assert not any(re.match("aws_(db|rds|elasticache)", name) for name in named("aws", "resource"))


def test_on_aws_roles_name_what_they_may_use() -> None:
    documents = named("aws", "data")
    code = text("aws")
    assert set(documents) >= {"aws_iam_policy_document.execution", "aws_iam_policy_document.task"}
    assert not re.search(r'actions\s*=\s*\[[^\]]*"\w+:\*"', code)
    assert not re.search(r'actions\s*=\s*\["\*"\]', code)
    # one action knows no resources
    assert re.findall(r'actions\s*=\s*\[([^\]]*)\]\s*\n\s*resources = \["\*"\]', code) == [
        '"ecr:GetAuthorizationToken"'
    ]
    assert "managed_policy" not in code
    assert "AdministratorAccess" not in code


def test_on_aws_the_task_has_no_rights_and_its_secret_from_the_manager() -> None:
    code = text("aws")
    assert "readonlyRootFilesystem = true" in code
    assert re.search(r'user\s+= "10001:10001"', code)
    assert 'secrets = [{ name = "ANTIPHON_TOKEN", valueFrom = var.token_secret_arn }]' in code
    drain = int(re.search(r'"ANTIPHON_DRAIN", value = "(\d+)"', code)[1])  # type: ignore[index]
    stop = int(re.search(r"stopTimeout\s+= (\d+)", code)[1])  # type: ignore[index]
    assert drain + 8 <= stop <= 120


def test_on_gcp_the_account_may_read_one_secret_and_nobody_is_let_in_by_default() -> None:
    resources = named("gcp", "resource")
    roles = {body["role"].strip('"') for name, body in resources.items() if "iam_member" in name}
    assert roles == {"roles/secretmanager.secretAccessor", "roles/run.invoker"}
    assert "default" not in named("gcp", "variable")["invokers"]
    code = text("gcp")
    drain = int(re.search(r'"ANTIPHON_DRAIN"\s+value = "(\d+)"', code)[1])  # type: ignore[index]
    assert drain < 10, "Cloud Run gives 10 s"
    assert "sql" not in " ".join(resources)
