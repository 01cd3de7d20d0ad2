"""Asks Strudel and Tidal themselves for the events of a table of lines, and compares them with those of `paste`.

    python tools/judge strudel --folder FOLDER      FOLDER: with strudel.mjs, see tools/strudel_answers.mjs
    python tools/judge tidal                        by ghci and Tidal, Debian's ghc and libghc-tidal-dev

Both write their answers to tests/paste/judge with --write; with --kept the answers kept there are compared.
--half 0 or 1 shows the lines that differ in one half: a table that is tuned on one half is judged by the other.
"""

import argparse
import collections
import json
import random
import re
import subprocess
import sys
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction as F
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.paste.judged import Answer, difference, packed, rows  # noqa: E402

HERE = Path(__file__).parent
NESTED = 100
"""Lines of several words at once."""


def uses(language: str) -> Iterator[tuple[str, str, str]]:
    """Yields the word, the base (a letter, or the sign of a whole expression) and the rest of each use."""
    for line in (HERE / f"{language}.txt").read_text("utf-8").splitlines():
        if line.startswith("#") or re.match(r"[A-Z] = ", line):
            continue
        word, _, rest = line.partition(": ")
        for use in rest.split(" | "):
            base, _, given = use.strip().partition(" ")
            yield word, base, given


def lines(language: str) -> list[tuple[str, str]]:
    """The word and the program of each line: the uses of the table, then nested ones, the same in every run."""
    text = (HERE / f"{language}.txt").read_text("utf-8")
    bases = dict(re.findall(r"^([A-Z]) = (.*)$", text, re.M))
    strudel, found, links = language == "strudel", [], list[tuple[str, str]]()
    for word, base, given in uses(language):
        if base == ":":
            shown = given
        elif base == "=":
            shown = re.sub(r"^(.*?)((?: \..*)?)$", rf"{word}(\1)\2", given) if strudel else f"{word} {given}"
        elif strudel:
            shown = f"{bases[base]}.{word}({given})" if not re.match(r"\.[a-z]", given) else f"{bases[base]}{given}"
            links.append((word, given))
        else:
            shown = f"{word} {given} $ {bases[base]}".replace("  ", " ")
            links.append((word, given))
        found.append((word, f"$: {shown}" if strudel else f"d1 $ {shown}"))
    chance = random.Random(7)
    links = [one for one in links if not UNSTEADY.match(one[0])]
    for n in range(NESTED):
        some = chance.sample(links, 2 + n % 3)
        base = bases[chance.choice("AHMN")]
        if strudel:
            chain = [f".{word}({given})" for word, given in some]
            if n % 2:
                chain[-1] = (f".jux(x=>x{chain[-1]})", f".every(2,x=>x{chain[-1]})", f".off(1/8,x=>x{chain[-1]})")[
                    n % 3
                ]
            found.append(("nested", f"$: {base}{''.join(chain)}"))
        else:
            chain = [f"{word} {given}".strip() for word, given in some]
            if n % 2:
                chain[0] = (f"jux ({chain[0]})", f"every 2 ({chain[0]})", f"off 0.125 ({chain[0]})")[n % 3]
            found.append(("nested", f"d1 $ {' $ '.join(chain)} $ {base}"))
    return found


UNSTEADY = re.compile(
    "degrade|undegrade|sometimes|often|rarely|almost|some_?cycles|shuffle|scramble|arp|rolled|hush|bypass", re.I
)
"""Words that stand in no nested line: chance, and those of chords."""


def ask_strudel(programs: Sequence[str], folder: Path) -> list[Answer]:
    """The events of each program by Strudel, or the text of its error."""
    called = ["node", str(ROOT / "tools/strudel_answers.mjs"), str(folder / "strudel.mjs"), "--programs"]
    done = subprocess.run(
        called, input="".join(f"{one}\n" for one in programs), capture_output=True, text=True, check=True
    )
    return [_answer(json.loads(line)) for line in done.stdout.splitlines()]


def ask_tidal(programs: Sequence[str]) -> list[Answer]:
    """The events of each program by Tidal, or the text of its error."""
    typed = (HERE / "tidal.hs").read_text("utf-8")
    for number, one in enumerate(programs):
        typed += f'putStrLn "#{number}"\njudge $ {one.removeprefix("d1 $ ")}\n'
    done = subprocess.run(
        ["ghci", "-v0", "-ignore-dot-ghci", "-fno-warn-type-defaults"], input=typed, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    found: list[Answer] = ["no answer"] * len(programs)
    for part in re.split(r"^#(?=\d+$)", done.stdout, flags=re.M)[1:]:
        index, _, text = part.partition("\n")
        answer = next((line[1:] for line in text.splitlines() if line.startswith("@")), None)
        failed = "*** Exception" in text or answer is None
        found[int(index)] = " ".join(text.split())[:90] if failed else _answer(json.loads(answer or "[]"))
    return found


def _answer(said: Any) -> Answer:
    return said if isinstance(said, str) else [(F(begin), F(end), value) for begin, end, value in said]


def half(line: str) -> int:
    """Half of the table that a line is in."""
    return zlib.crc32(line.encode()) % 2


def main() -> None:
    """Asks, compares, and shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language", choices=("strudel", "tidal"))
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--kept", action="store_true", help="compare with the answers of tests/paste/judge")
    parser.add_argument("--write", action="store_true", help="keep the answers in tests/paste/judge")
    parser.add_argument("--half", type=int, choices=(0, 1), help="show the lines that differ of this half")
    given = parser.parse_args()
    if given.kept:
        answers = {line: answer for line, _, answer in rows(given.language)}
        table = [(word, line) for word, line in lines(given.language) if line in answers]
        said = [answers[line] for _, line in table]
    else:
        table = lines(given.language)
        programs = [line for _, line in table]
        said = ask_strudel(programs, given.folder) if given.language == "strudel" else ask_tidal(programs)
    right, whole = collections.Counter[int](), collections.Counter[int]()
    written = list[str]()
    for (word, line), answer in zip(table, said, strict=True):
        if isinstance(answer, str) or not answer:
            if given.half is not None and half(line) == given.half and not given.kept:
                print(f"-- {word}: {line}\n     not taken: {answer or 'silent'}")
            continue
        problem = difference(given.language, line, answer)
        written.append(f"{'!' if problem else ' '}{line}\t{packed(answer)}\n")
        whole[half(line)] += 1
        right[half(line)] += not problem
        if problem and half(line) == given.half:
            print(f"## {word}: {line}\n     {problem}")
    if given.write:
        (ROOT / f"tests/paste/judge/{given.language}.txt").write_text("".join(dict.fromkeys(written)), "utf-8")
    for part in (0, 1):
        print(f"half {part}: {right[part]} of {whole[part]} ({right[part] / max(1, whole[part]):.1%})")


if __name__ == "__main__":
    main()
