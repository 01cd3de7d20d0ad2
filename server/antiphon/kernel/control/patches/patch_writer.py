"""Saves a patch under a name that loads it, without losing a file that was edited by hand."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from antiphon.kernel.contract.catalog import Catalog
from antiphon.kernel.contract.params import Value
from antiphon.kernel.errors import PatchError
from antiphon.kernel.graph import clips
from antiphon.kernel.graph.graph import NodeSpec
from antiphon.kernel.graph.names import PREVIOUS, SUFFIX
from antiphon.kernel.graph.patch import Patch, dump, parse
from antiphon.kernel.runtime import paths

MAX_PREVIOUS = 1 << 20
"""Most bytes of a file that is replaced and kept as NAME~: more than a patch may have."""


def save(patch: Patch, name: str, catalog: Catalog, ours: Mapping[Path, str], *, replacing: bool) -> tuple[Path, str]:
    """Saves a performer's patch; replaces files other than `ours` only if `replacing`. PatchError: nothing written."""
    path = paths.path_inside(paths.patches(), name, SUFFIX, PatchError)
    stem = path.name.removesuffix(SUFFIX)
    text = dump(_by_names(patch, catalog))
    content = _encoded(text)
    # a patch that could not be loaded again is refused now
    parse(text, catalog, path.name)
    before = _content(path)
    if before is not None and before != ours.get(path, "").encode():
        if not replacing:
            raise PatchError(
                f"there is a patch {stem!r} already, and it is not the one that plays; choose another name, or send "
                f"/patch/save {stem} 1, which replaces it and keeps the old one as {stem}{PREVIOUS}"
            )
        if before != content:
            paths.write_atomic(path.with_name(f"{stem}{PREVIOUS}{SUFFIX}"), before)
    paths.write_atomic(path, content)
    return path, text


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        line = text[: error.start].rpartition("\n")[2] + text[error.start :].partition("\n")[0]
        raise PatchError(f"a patch is text in UTF-8, and a name in {line!r} is not; rename that file first") from None


def _content(path: Path) -> bytes | None:
    """Content of a file; None when it does not exist."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_PREVIOUS + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PatchError(f"cannot replace {path}: {paths.os_error_text(error)}") from None
    if len(content) > MAX_PREVIOUS:
        raise PatchError(f"{path.name} is no patch, it is too large for one; choose another name")
    return content


def _by_names(patch: Patch, catalog: Catalog) -> Patch:
    """The patch with library names instead of paths, as required of a patch loaded by name."""
    files = {
        f"{node.name}.{param.name}"
        for node in patch.graph.nodes
        for param in catalog[node.type].params
        if param.kind == "file"
    }

    def named(key: str, value: Value) -> Value:
        return _name(key, str(value)) if key in files else value

    def written(node: NodeSpec) -> NodeSpec:
        values = {word: named(f"{node.name}.{word}", value) for word, value in node.values.items()}
        return NodeSpec(node.name, *catalog[node.type].written(values))

    nodes = tuple(written(node) for node in patch.graph.nodes)
    scenes = {
        number: {key: named(key, value) for key, value in scene.items()} for number, scene in patch.scenes.items()
    }
    return replace(patch, graph=replace(patch.graph, nodes=nodes), scenes=scenes)


def _name(key: str, text: str) -> str:
    name = clips.name_asset(text)
    if name is None:
        raise PatchError(
            f"{key} plays {text}, which is not in the library: a saved patch names files of the library alone. Copy it "
            f"into {paths.library()}, set /node/{key.replace('.', '/')} to its name, and save again"
        )
    return name
