"""`make guard`: measures one figure of every card on a small, fixed set, and compares it with `models/guard.toml`.

A figure fell if it is worse than the table's by more than the table's standard error. Then, and if one could not be
measured (a peer or the recorded material is missing), the exit status is 1. `--write` renews the table; the commit then
states the change of a figure, with its benefit. Names of evaluations limit the run to these. The recorded material is
in the folder that ANTIPHON_DATA names, or in data/.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "models" / "guard.toml"
HEAD = """\
# Read and renewed by tools/guard.py (`make guard`, `make guard ARGS=--write`): one figure of every card, each by
# `antiphon evaluate EVALUATION --limit LIMIT --system SYSTEM`, seed 1.
"""
TOGETHER = max(1, (os.cpu_count() or 2) // 2 + 1)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the table. `value`, `error`: its mean and the mean's standard error."""

    evaluation: str
    limit: int
    system: str
    measure: str
    group: str = ""
    better: str = "higher"
    value: float = math.nan
    error: float = 0.0
    n: int = 0

    @property
    def run(self) -> tuple[str, int]:
        """Key of the run of `antiphon evaluate` that measures it."""
        return self.evaluation, self.limit

    @property
    def title(self) -> str:
        """Name of the figure in the printed table."""
        return ", ".join(filter(None, (self.evaluation, self.system, self.group, self.measure)))

    def fell(self, now: "Figure") -> bool:
        """Whether `now` is worse by more than the standard error."""
        loss = (self.value - now.value) * (1 if self.better == "higher" else -1)
        return loss > self.error + 1e-9


def read_table(path: Path = TABLE) -> list[Figure]:
    """Figures of the committed table."""
    return [Figure(**row) for row in tomllib.loads(path.read_text())["figure"]]


def write_table(figures: list[Figure], path: Path = TABLE) -> None:
    """Replaces the table."""
    lines = [HEAD]
    for each in figures:
        lines.append("[[figure]]")
        optional = [name for name in ("group", "better") if getattr(each, name)]
        names = ("evaluation", "limit", "system", "measure", *optional)
        lines += [f"{name} = {json.dumps(getattr(each, name))}" for name in names]
        lines += [f"value = {each.value:.4g}", f"error = {each.error:.3g}", f"n = {each.n}", ""]
    path.write_text("\n".join(lines))


def measure(figures: list[Figure]) -> list[Figure]:
    """Current figures of one run; NaN for a figure that the run lacks."""
    name, limit = figures[0].run
    systems = [f"--system={system}" for system in dict.fromkeys(each.system for each in figures)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "antiphon", "evaluate", name, f"--limit={limit}", f"--json={out}", *systems]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        said = json.loads(out.read_text()) if out.exists() else {}
        # what is made where the recorded material is missing has figures of its own
        found = [] if said.get("synthetic", True) else said["figures"]
    last = (ended.stderr.strip().splitlines() or ["it printed no figures"])[-1]
    print(f"{name}: {time.monotonic() - began:.0f} s" + (f"; {last}" if not found else ""), flush=True)
    cells = {(cell["system"], cell["measure"], cell["group"]): cell for cell in found}
    return [_now(each, cells.get((each.system, each.measure, each.group))) for each in figures]


def _now(figure: Figure, cell: dict[str, float] | None) -> Figure:
    if cell is None:
        return replace(figure, value=math.nan, error=0.0, n=0)
    return replace(figure, value=float(cell["mean"]), error=float(cell["error"]), n=int(cell["n"]))


def main() -> int:
    """Measures, prints the table, and returns the exit status."""
    parser = argparse.ArgumentParser(description="One figure of every card beside the committed table.")
    parser.add_argument("names", nargs="*", metavar="EVALUATION", help="these alone")
    parser.add_argument("--write", action="store_true", help="renew the table")
    asked = parser.parse_args()
    table = read_table()
    if unknown := set(asked.names) - (known := {each.evaluation for each in table}):
        parser.error(f"no figure is of {', '.join(sorted(unknown))}; there are: {', '.join(sorted(known))}")
    chosen = [each for each in table if not asked.names or each.evaluation in asked.names]
    runs = [[each for each in chosen if each.run == run] for run in dict.fromkeys(each.run for each in chosen)]
    with ThreadPoolExecutor(TOGETHER) as pool:
        now = [figure for found in pool.map(measure, runs) for figure in found]
    before = {(each.run, each.title): each for each in table}
    fallen = [each for each in now if before[each.run, each.title].fell(each)]
    missing = [each for each in now if math.isnan(each.value)]
    print()
    for each in now:
        was = before[each.run, each.title]
        said = "FELL" if each in fallen else "not measured" if each in missing else ""
        print(f"{each.title:56} {was.value:9.4g} ± {was.error:<8.2g} now {each.value:9.4g} ± {each.error:<8.2g} {said}")
    if asked.write:
        renewed = {(each.run, each.title): each for each in now if math.isfinite(each.value)}
        write_table([renewed.get((each.run, each.title), each) for each in table])
        return 0
    print(f"\n{len(fallen) or 'none'} of {len(now) - len(missing)} fell, {len(missing) or 'none'} not measured")
    return 1 if fallen or missing else 0


if __name__ == "__main__":
    sys.exit(main())
