"""The result of a soak: trends, tables and the plot, from its recorded lines."""

import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from antiphon_bench.rig import finish, percentiles, table
from antiphon_bench.soak.processes import ROLES
from antiphon_models.learning.curve import Panel, svg

# ---- Tests whether a quantity grows over a soak: a slope by least squares, its confidence interval, and the rule
# A process that is killed starts small again, so a line through everything would hide what grows in between. Samples
# are taken life by life: a life is a stretch in which the role has the same processes. The first minutes of each are
# left out (caches fill), the rest is cut into bins of one turn through all patches, whose means no longer depend on
# which patch plays; one slope is fitted to all process lifetimes, each with a level of its own.

MIN_BINS = 4
"""Least number of bins for a slope."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Allowed rise over the run: the larger of `most` and `share` of the first value.

    falls: whether a fall is limited too, for example of the drift.
    """

    most: float
    share: float = 0.0
    falls: bool = False

    def verdict(self, slope: float, margin: float, hours: float, start: float) -> str:
        """ "grows" if the slope's whole 95 % interval is above 0 and the line rises more than allowed."""
        size = abs(slope) if self.falls else slope
        return "grows" if size > margin and size * hours > max(self.most, self.share * abs(start)) else "steady"


MEMORY = Rule(2.0, 0.02)
"""Limit for memory, in MB."""
COUNT = Rule(1.5)
"""Limit for descriptors, threads, processes or files: the largest rise of a fitted line through a single step of 1."""
DRIFT = Rule(2.0, falls=True)
"""Limit for drift, in ms."""


@dataclass(frozen=True, slots=True)
class Trend:
    """start, end: means of the first and the last bin.  slope, margin: rise per hour, and half its 95 % interval; NaN
    with too few bins.
    """

    start: float
    end: float
    slope: float
    margin: float
    bins: int
    verdict: str


def fit_trend(
    times: Sequence[float],
    values: Sequence[float],
    lives: Sequence[Hashable],
    bin_s: float,
    settle_s: float,
    rule: Rule,
) -> Trend:
    """Fits the trend of samples at `times`, in seconds since the run's start, in order.

    lives: for each sample, an identity of the processes; a new identity starts a new lifetime.
    """
    points = bins(times, values, lives, bin_s, settle_s)
    if not points:
        return Trend(math.nan, math.nan, math.nan, math.nan, 0, "too short")
    slope, margin = fit(points)
    start, end = points[0][2], points[-1][2]
    verdict = "too short" if math.isnan(margin) else rule.verdict(slope, margin, points[-1][1] - points[0][1], start)
    return Trend(start, end, slope, margin, len(points), verdict)


def bins(
    times: Sequence[float], values: Sequence[float], lives: Sequence[Hashable], bin_s: float, settle_s: float
) -> list[tuple[int, float, float]]:
    """(number of the lifetime, time in hours, mean) of each whole bin."""
    rows: list[tuple[int, float, float]] = []
    first = 0
    for number, (_, life) in enumerate(groupby(lives)):
        end = first + len(list(life))
        rows += [(number, t, v) for t, v in _cut(times[first:end], values[first:end], bin_s, settle_s)]
        first = end
    return rows


def _cut(times: Sequence[float], values: Sequence[float], bin_s: float, settle_s: float) -> list[tuple[float, float]]:
    t, y = np.asarray(times, float), np.asarray(values, float)
    known = ~np.isnan(y)
    rows = []
    begin = t[0] + settle_s
    while begin + bin_s <= t[-1] + 1e-6:
        here = (t >= begin) & (t < begin + bin_s) & known
        if here.any():
            rows.append((float(t[here].mean()) / 3600.0, float(y[here].mean())))
        begin += bin_s
    return rows


def fit(points: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """Fits (slope, half its 95 % interval) to (lifetime, time, value), with a level per lifetime; NaN if too few."""
    lives = np.array([p[0] for p in points])
    t, y = np.array([p[1] for p in points]), np.array([p[2] for p in points])
    t, y = t - _means(lives, t), y - _means(lives, y)
    free = len(points) - len(set(lives.tolist())) - 1
    spread = float((t * t).sum())
    if len(points) < MIN_BINS or free < 1 or spread <= 0.0:
        return math.nan, math.nan
    slope = float((t * y).sum()) / spread
    left = y - slope * t
    from scipy.stats import t as student  # a second of imports

    return slope, float(student.ppf(0.975, free)) * math.sqrt(float((left * left).sum()) / free / spread)


def _means(lives: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    means = np.empty_like(values)
    for life in set(lives.tolist()):
        means[lives == life] = values[lives == life].mean()
    return means


Sample = dict[str, Any]
BY_ROLE = (
    ("rss", MEMORY, "RSS, MB"),
    ("anonymous", MEMORY, "anonymous memory, MB"),
    ("private", MEMORY, "private memory, MB"),
    ("descriptors", COUNT, "descriptors"),
    ("threads", COUNT, "threads"),
)
OVERALL = (("pss", MEMORY, "PSS, MB"), *BY_ROLE[1:], ("processes", COUNT, "processes"))
ALL = "all"
_CHANGING = ("workers", "helpers", ALL)
"""Roles whose processes change with the patch, so that their slope is fitted over the whole run."""


def conclude(out: Path, pace: dict[str, float], seed: int, ended: dict[str, Any], patches: int) -> None:
    """Writes tables for readers, `result.json`, `soak.svg` and the last line. patches: number in a turn."""
    samples, events = _lines(out / "samples.jsonl"), _lines(out / "events.jsonl")
    print(f"\n{ended['why']}; {len(samples)} samples")
    trends = trends_of(samples, pace["patch"] * patches, pace["settle"])
    table(
        f"start and end: means over one turn of {patches} patches, after {pace['settle'] / 60:g} min; slope by least "
        "squares, ± its 95 % interval",
        ("", "start", "end", "slope an hour", "±", "bins", "verdict"),
        [
            (name, *(("-" if math.isnan(v) else v) for v in (t.start, t.end, t.slope, t.margin)), t.bins, t.verdict)
            for name, t in trends.items()
        ],
    )
    counts = samples[-1]["counts"] if samples else {}
    hours = (samples[-1]["t"] if samples else 0.0) / 3600.0
    table("counted", ("", "total", "an hour"), [(n, v, v / hours if hours else 0.0) for n, v in counts.items()])
    kills = _summarise_kills(events)
    table(
        "killed (SIGKILL), seconds until there was another",
        ("", "kills", "not back", "p50", "max"),
        [(role, k["kills"], k["not_back"], k["p50"], k["max"]) for role, k in kills.items()],
    )
    loads = sum(e.get("took") is not None for e in events)
    refused = [e["said"] for e in events if e.get("said", "").startswith("/fail")]
    resets = sum("reset" in e for e in events)
    drift = trends.get("clock drift, ms")
    grows = [name for name, t in trends.items() if t.verdict == "grows"]
    print(
        f"\npatch changes {loads}, refused {len(refused)}; failed nodes reset {resets}; processes left at the end "
        f"{ended['processes_left']}, temporary files {ended['files_left']}"
    )
    if drift and not math.isnan(drift.slope):
        print(f"sample clock against CLOCK_MONOTONIC: {drift.slope / 3.6:.3g} ± {drift.margin / 3.6:.2g} ppm")
    print(f"grows: {', '.join(grows) or 'nothing'}")
    (out / "soak.svg").write_text(plot(samples, events))
    result = {
        "seed": seed,
        "pace": pace,
        "hours": hours,
        "ended": ended,
        "counts": counts,
        "kills": kills,
        "loads": loads,
        "refused": refused,
        "resets": resets,
        "trends": {n: {k: _json(v) for k, v in asdict(t).items()} for n, t in trends.items()},
        "grows": grows,
    }
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    finish("soak", result)


def trends_of(samples: list[Sample], bin_s: float, settle_s: float) -> dict[str, Trend]:
    """The trends by name. bin_s: seconds of a turn through all patches."""
    times = [s["t"] for s in samples]
    whole: list[Any] = [0] * len(samples)
    trends: dict[str, Trend] = {}

    def add_trend(name: str, values: list[float], lives: list[Any], rule: Rule) -> None:
        trends[name] = fit_trend(times, values, lives, bin_s, settle_s, rule)

    for kind, rule, title in OVERALL:
        add_trend(f"{ALL}: {title}", [_held(s, ALL, kind) for s in samples], whole, rule)
    for role in ROLES:
        if not any(role in s["held"] for s in samples):
            continue
        lives = whole if role in _CHANGING else [_role_process_ids(s, role) for s in samples]
        for kind, rule, title in BY_ROLE:
            add_trend(f"{role}: {title}", [_held(s, role, kind) for s in samples], lives, rule)
    add_trend("shared memories", [float(s["memories"]) for s in samples], whole, COUNT)
    add_trend("temporary and runtime files", [float(s["files"]) for s in samples], whole, COUNT)
    add_trend("stray processes", [float(len(s["strays"])) for s in samples], whole, COUNT)
    add_trend("clock drift, ms", drift_ms(samples), whole, DRIFT)
    return trends


def drift_ms(samples: list[Sample]) -> list[float]:
    """Drift of the sample clock against CLOCK_MONOTONIC since its first sample; NaN without an answer."""
    first = next((s["clock"] for s in samples if s["clock"] is not None), 0.0)
    return [math.nan if s["clock"] is None else (s["clock"] - first) * 1e3 for s in samples]


def plot(samples: list[Sample], events: list[dict[str, Any]]) -> str:
    minutes = [s["t"] / 60.0 for s in samples]
    roles = [role for role in ROLES if any(role in s["held"] for s in samples)]

    def panel(title: str, lines: Mapping[str, Sequence[float]]) -> Panel:
        return Panel(title, {name: list(zip(minutes, values, strict=True)) for name, values in lines.items()})

    panels = [
        panel("PSS of all, MB", {"all": [_held(s, ALL, "pss") for s in samples]}),
        *(panel(f"{title}, by role", {role: [_held(s, role, kind) for s in samples] for role in roles})
          for kind, _, title in BY_ROLE),
        panel("processes, files", {
            "processes": [_held(s, ALL, "processes") for s in samples], "files": [float(s["files"]) for s in samples],
            "memories": [float(s["memories"]) for s in samples], "strays": [float(len(s["strays"])) for s in samples],
        }),
        panel("counted since the start", {
            name: [float(s["counts"].get(name, 0)) for s in samples]
            for name in ("missed_blocks", "late", "osc_dropped", "osc_failed")
        }),
        panel("hops missed since the start", {
            name: [float(s["counts"].get(name, 0)) for s in samples] for name in ("worker_misses", "synth_misses")
        }),
        panel("sample clock against CLOCK_MONOTONIC, ms", {"drift": drift_ms(samples)}),
    ]  # fmt: skip
    marks = [(e["t"] / 60.0, e["kill"]) for e in events if "kill" in e]
    return svg(panels, "antiphon bench soak (dashed: a kill -9)", "min", marks)


def _role_process_ids(sample: Sample, role: str) -> tuple[int, ...]:
    """Process ids of a role; the weigher without its child, which tries a patch."""
    pids = sample["pids"].get(role, ())
    return tuple(pids[:1] if role == "weigher" else pids)


def _held(sample: Sample, role: str, kind: str) -> float:
    held = sample["held"]
    if role == ALL:
        return float(sum(h[kind] for h in held.values()))
    return float(held[role][kind]) if role in held else 0.0


def _summarise_kills(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for role in dict.fromkeys(e["kill"] for e in events if "kill" in e):
        after = [e["after"] for e in events if e.get("back") == role]
        back = [a for a in after if a is not None]
        spent = percentiles(back) if back else {"p50": "-", "max": "-"}
        kills = sum(e.get("kill") == role for e in events)
        result[role] = {"kills": kills, "not_back": kills - len(back), "p50": spent["p50"], "max": spent["max"]}
    return result


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
