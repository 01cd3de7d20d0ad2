"""The shape of the project itself: what a reader, a packager and a fresh machine rely on."""

import ast
import os
import re
import runpy
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from tests import forked
from tests.commands import PAGES as TYPED
from tests.sources import PLUGINS, SOURCES

from antiphon.kernel.runtime.processes import children

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TEXT = {".py", ".toml", ".md", ".sh", ".yaml", ".yml", ""}
PAGES = ("CHANGELOG.md", *TYPED)
OURS = ("server", "plugins", "patches", "supercollider", "models", "bench", "tests", "docs", "tools", ".ci")


def files(*suffixes):
    """Files of the project that git would keep, by suffix."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=False
    )
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:  # an export without git
        paths = [p for top in OURS for p in (ROOT / top).rglob("*") if "__pycache__" not in p.parts]
        paths += [p for p in ROOT.iterdir() if p.is_file()]
    return sorted(p for p in paths if p.is_file() and p.suffix in suffixes)


def modules():
    return [p for p in files(".py") if p.parts[len(ROOT.parts)] in ("server", "plugins", "models", "bench")]


def own(path):
    return str(path.relative_to(ROOT))


def test_source_roots_hold_packages_of_ours_alone():
    """An editable installation puts them on the path: pip took `models/wheel` for the package `wheel`."""
    names = {
        path.stem
        for top in (*SOURCES, ROOT / "plugins")
        for path in top.iterdir()
        if (path.is_dir() or path.suffix == ".py") and path.stem.isidentifier() and path.stem != "__pycache__"
    }
    assert {name for name in names if not name.startswith("antiphon_")} == {"antiphon", "weights"}
    others = {name for name, owners in packages_distributions().items() if set(owners) != {"antiphon"}}
    assert names & (others | sys.stdlib_module_names) == set()


def test_no_star_imports_and_no_marks_of_unfinished_work():
    mark = re.compile(r"\b(TODO|FIX" + r"ME|XXX)\b|import \*")
    # a live script begins with its vocabulary; benches write such scripts
    script = "from antiphon.live import *"
    found = [
        f"{own(p)}:{n}"
        for p in modules()
        for n, line in enumerate(p.read_text().splitlines(), 1)
        if mark.search(line.replace(f"{script}\\n", "") if line != script or not own(p).startswith("bench/") else "")
    ]
    assert found == []


def test_no_path_of_a_machine_and_no_registry_host_is_written_down():
    hosts = ["pypi." + "org", "python" + "hosted", "npmjs" + ".", "deb.debian" + ".", "download.pytorch" + "."]
    places = re.compile(
        r"/(home|Users)/[a-z]+/|/" + r"root/|/" + r"work/(main|shared)|" + "|".join(map(re.escape, hosts))
    )
    found = []
    for path in files(*TEXT):
        for n, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if places.search(line):
                found.append(f"{own(path)}:{n}: {line.strip()[:80]}")
    assert found == []


def test_the_wheel_is_made_from_all_source_roots():
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    # the mapping form of `sources` breaks editable installs
    assert wheel["sources"] == wheel["only-include"] == ["server", "plugins/antiphon"]
    for source, target in wheel["force-include"].items():
        assert target == f"antiphon/data/{source}"
        kept = [p for p in files(*TEXT) if own(p) == source or own(p).startswith(f"{source}/")]
        assert kept, (
            f"{source}/ would be missing from a fresh clone: git keeps no empty folder, and the build would fail"
        )


def test_what_pyproject_names_is_there():
    project = PROJECT["project"]
    for name in (project["readme"], *project["license-files"]):
        assert (ROOT / name).is_file(), name
    for target in project["entry-points"]["antiphon"].values():
        assert (ROOT / "plugins" / "antiphon" / target / "__init__.py").is_file(), target
    assert any(need.startswith("torch==2.13.0") for need in project["optional-dependencies"]["models"])
    assert not any(need.startswith("torch") for need in project["dependencies"])


def test_every_plugin_has_a_card_and_tests():
    for folder in PLUGINS:
        assert list((folder / "tests").glob("test_*.py")), f"{folder.name} has no tests"
        entry = (folder / "__init__.py").read_text().splitlines()
        assert len(entry) < 48, f"{folder.name}/__init__.py holds more than its hooks"


def test_the_readme_shows_both_commands_first():
    head = "\n".join((ROOT / "README.md").read_text().splitlines()[:60])
    assert "make play" in head
    assert "make test" in (ROOT / "README.md").read_text()
    assert "/node/" in head, "how to drive it belongs on the first screen"
    assert "](docs/page/moving.webp)" in head, "a picture says first what it is"


def test_the_badges_say_what_pyproject_says():
    low, high = re.findall(r"3\.(\d+)", PROJECT["project"]["requires-python"])
    said = {"python": f"Python: 3.{low} to 3.{int(high) - 1}", "licence": f"licence: {PROJECT['project']['license']}"}
    assert {path.stem for path in (ROOT / "docs" / "badges").iterdir()} == set(said)
    for name, words in said.items():
        assert f"<title>{words}</title>" in (ROOT / "docs" / "badges" / f"{name}.svg").read_text()
        assert f"[![{words}](docs/badges/{name}.svg)]" in (ROOT / "README.md").read_text()


def test_the_readme_lists_every_page_before_its_sections():
    contents = (ROOT / "README.md").read_text().partition("\n## ")[0]
    pages = [own(path) for pattern in ("*.md", "clients/*.md") for path in (ROOT / "docs").glob(pattern)]
    assert pages
    assert [page for page in pages if f"]({page})" not in contents] == []


def test_site_contents_list_every_page() -> None:
    """What its first page does not list fails `make site`, and so `make release`."""
    contents = runpy.run_path(str(ROOT / "docs" / "conf.py"))["CONTENTS"]
    listed = [page for _, pages in contents for page in pages]
    here = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "docs").rglob("*.md")]
    assert [str(page) for page in here if not any(page.match(pattern) for pattern in listed)] == []


def test_links_between_the_documents_lead_somewhere():
    for page in PAGES:
        path = ROOT / page
        text = re.sub(r"`[^`\n]+`", "", outside_code(path.read_text()))  # [0 4](3,8) is a rhythm
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)(#[^)\s]+)?\)", text):
            found = (path.parent / target) if target else path
            assert found.exists(), f"{page} links to {target}"
            if anchor and found.suffix == ".md":
                assert anchor[1:] in anchors(found.read_text()), f"{page} links to {target}{anchor}"


def outside_code(text):
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def anchors(text):
    """What a page's headings are called in links."""
    headings = re.findall(r"^#+ (.*)$", outside_code(text), re.MULTILINE)
    named = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    counts = [named[:n].count(name) for n, name in enumerate(named)]
    return {f"{name}-{count}" if count else name for name, count in zip(named, counts, strict=True)}


def test_the_changelog_knows_this_version():
    assert f"## [{PROJECT['project']['version']}]" in (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_make_target_explains_itself():
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE).group(1).split()
    for target in phony:
        assert re.search(rf"^{target}:.*## .+", text, re.MULTILINE), f"make {target} says nothing in make help"


def test_shell_scripts_are_sound_and_can_be_run():
    for script in (*(ROOT / "tools").glob("*.sh"), ROOT / ".ci" / "run"):
        shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"
        assert subprocess.run([shell, "-n", script], check=False).returncode == 0, own(script)


def test_a_sleep_of_a_test_is_its_subject_and_says_so():
    """Other tests wait for the event, by `tests/waiting.py`. A sleep of 0 is a turn of the loop."""
    found = []
    for path in files(".py"):
        if "tests" not in path.relative_to(ROOT).parts or path == ROOT / "tests/waiting.py":
            continue
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "sleep(" in text else ():
            match node:
                case ast.Call(func=ast.Attribute(ast.Name("time" | "asyncio"), "sleep"), args=[ast.Constant(0 | 0.0)]):
                    pass
                case ast.Call(func=ast.Attribute(ast.Name("time" | "asyncio"), "sleep")):
                    if "  # " not in text.splitlines()[node.lineno - 1]:
                        found.append(f"{own(path)} line {node.lineno}")
    assert not found, "wait for the event instead, or say beside it what the pause is"


def test_servers_and_helpers_that_tests_start_are_forked():
    """Executed ones pass every test as well, at three times the processor time."""
    assert forked._template("antiphon", {**os.environ}) is not None
    for module in forked.HELPERS:
        assert forked._template(module, children.environment()) is not None, module


def test_ci_tests_each_distribution_alone_in_turn():
    projects = [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml"), ROOT / "models" / "pyproject.toml"]
    names = {tomllib.loads(file.read_text())["project"]["name"] for file in projects}
    turn = runpy.run_path(str(ROOT / "tools" / "alone.py"))["turn"]
    assert {turn(86400.0 * day) for day in range(len(names))} == names
    assert "alone DIST=turn" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert "bash .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
