"""Lists of patches, sets, processors, words and models: for the command line and `antiphon.ask`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from antiphon.kernel.contract.addresses import AddressInfo, AddressList
from antiphon.kernel.errors import UsageError
from antiphon.kernel.plugins.hook_lists import hook_lists, import_plugins
from antiphon.kernel.runtime.arguments import argument
from antiphon.kernel.runtime.shortening import short_repr
from antiphon.kernel.runtime.suggestion import instead, suggest
from antiphon.operations.patch_list import SETS, PatchEntry, entries
from antiphon.operations.shared import ASKER, Request, SharedOperation, add_operation_addresses, added_operations
from antiphon.operations.wording import word_refusals

if TYPE_CHECKING:
    from antiphon.kernel.contract.catalog import Catalog, ProcessorInfo
    from antiphon.kernel.graph.patch import Patch
    from antiphon.kernel.plugins.loader import Loaded
    from antiphon.live.reference import Entry
    from antiphon.networks.info import FileListing, Row

RATE, BLOCK = 48000, 256
"""Sample rate in Hz and block size in frames for the latencies of processors."""
PluginsDir = Annotated[str | None, argument("A folder of plugin folders.", "<path>")]


class PatchesRequest(Request):
    """List the patches: what each is for, whether it is shipped or yours, and which hides a shipped one."""

    name: Annotated[str, argument("One patch, shown in full.", placed=True, names="patches")] = ""
    every: Annotated[bool, argument("Also unlisted patches, which are for tests.", flags="--all")] = False


class SetsRequest(Request):
    """List the set lists: what each is for, and whether it is shipped or yours."""


class PluginsRequest(Request):
    """List the effects, instruments and listeners that a patch can have; NAME shows one with its parameters.

    --scan tries each third-party plugin in a separate process; each line begins with the value for the parameter uri.
    """

    name: Annotated[str, argument("One processor, shown in full.", placed=True, names="plugins")] = ""
    plugins_dir: PluginsDir = None
    scanned: Annotated[bool, argument("List the LV2, CLAP and VST3 plugins of this machine.", flags="--scan")] = False


class WordsRequest(Request):
    """List the words of live scripts by chapter, each with an example; TEXT shows the matching ones."""

    text: Annotated[
        str, argument("A word; or a text, for the words that it stands in the line of.", "[TEXT]", placed=True)
    ] = ""


class ModelsRequest(Request):
    """List models and verify their weights, and the model files of the library. Exit 1 if any cannot be played."""

    models_dir: Annotated[str | None, argument("A folder of weights, to check.", "<path>")] = None
    plugins_dir: PluginsDir = None


@dataclass(frozen=True, slots=True)
class ShownPatch:
    """A patch with its entry in the list."""

    entry: PatchEntry
    patch: Patch

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        scenes = {str(number): dict(values) for number, values in self.patch.scenes.items()}
        macros = {one.name: [asdict(target) for target in one.targets] for one in self.patch.graph.macros}
        shown = {"tempo": self.patch.tempo, "macros": macros, "scenes": scenes, "midi": dict(self.patch.midi)}
        return {**self.entry.plain(), **shown}


def patches(asked: PatchesRequest) -> list[PatchEntry] | ShownPatch:
    """Lists the patches, or describes the requested one."""
    if not asked.name:
        return [entry for entry in entries() if entry.listed or asked.every]
    from antiphon.kernel.graph import patch
    from antiphon.kernel.plugins.loader import load

    path = patch.find(asked.name)
    entry = next(entry for entry in entries() if entry.path == path)
    return ShownPatch(entry, patch.load(path.stem, load(check=False).catalog))


def sets(asked: SetsRequest) -> list[PatchEntry]:
    """The set lists whose patches can be loaded."""
    return [entry for entry in entries(SETS) if entry.listed]


@dataclass(frozen=True, slots=True)
class ShownPlugins:
    """All processors, or `one` of them. `folder`: the folder of own plugins, if one was given."""

    loaded: Loaded
    one: ProcessorInfo | None = None
    folder: str | None = None

    def plain(self) -> dict[str, Any]:
        """Data for JSON; latency: frames, null where the processor cannot be prepared."""
        if self.one is None:
            shown = self.loaded.catalog.to_json()
            return {**shown, "addresses": [*shown["addresses"], *map(asdict, operation_addresses(self.loaded.catalog))]}
        from antiphon.kernel.contract.catalog import Catalog

        shown = Catalog({self.one.type: self.one}).to_json()["types"][0]
        frames, problem = self.latency
        return {**shown, "latency": None if problem else frames, "rate": RATE, "block": BLOCK}

    @property
    def latency(self) -> tuple[int, str]:
        """(frames, "") of the requested one at default parameters, or (0, reason) if it cannot be prepared."""
        from antiphon.kernel.contract.block import StreamSpec
        from antiphon.kernel.contract.harness import prepare
        from antiphon.kernel.runtime.importing import reason_of
        from antiphon.kernel.workers.devices import without_workers

        assert self.one is not None
        try:
            processor = self.loaded.make(self.one.type)
            spec = StreamSpec(processor.rate or RATE, processor.block or BLOCK, processor.channels or 2)
            with without_workers():  # no worker is started to show a page
                prepare(processor, spec, {})
        except Exception as error:  # the plugin's code may raise anything; the error is shown
            return 0, reason_of(error)
        return round(processor.latency * RATE / spec.rate), ""


def operation_addresses(catalog: Catalog) -> Iterator[AddressInfo]:
    """The addresses of the operations of a catalog's plugins; those of a plugin that fails are left out."""
    wanted = {plugin for plugin, hooks in catalog.hooks.items() if "antiphon_operations" in hooks}
    dispatcher = import_plugins(wanted, lambda name, error: None)
    for plugin in dispatcher.implemented:
        osc = AddressList(plugin)
        add_operation_addresses(dispatcher, osc)
        yield from (info for info, _ in osc.added)


def plugins(asked: PluginsRequest) -> ShownPlugins | Iterator[str]:
    """Lists the processors, or describes one; with --scan yields a line per LV2, CLAP and VST3 plugin when tried."""
    from antiphon.kernel.graph.graph import known_type
    from antiphon.kernel.plugins.hook_lists import service
    from antiphon.kernel.plugins.loader import load

    if asked.scanned:
        return _plugin_lines_or_remark(iter(service("scan").lines()))
    loaded = load(None if asked.plugins_dir is None else Path(asked.plugins_dir))
    one = known_type(asked.name, loaded.catalog) if asked.name else None
    return ShownPlugins(loaded, one, asked.plugins_dir)


def _plugin_lines_or_remark(lines: Iterator[str]) -> Iterator[str]:
    yield next(lines, "no plugin of others is installed, nor in the folders of LV2_PATH, CLAP_PATH and VST3_PATH")
    yield from lines


@dataclass(frozen=True, slots=True)
class FoundWords:
    """Words of scripts, and substitutes for words of Tidal and Strudel that are not supported."""

    found: list[Entry]
    lacking: dict[str, str]

    def plain(self) -> dict[str, Any]:
        """Data for JSON."""
        return {"words": [entry.plain() for entry in self.found], "not_here": self.lacking}


def words(asked: WordsRequest) -> FoundWords:
    """The word of that name in any spelling; or those with the text in their name or description."""
    from antiphon.live.patterns.words.table import UNSUPPORTED_WORDS
    from antiphon.live.reference import entries

    every, text = entries(), asked.text.lower()
    exact = [entry for entry in every if text in (name.lower() for name in entry.names)]
    found = exact or [entry for entry in every if text in " ".join((*entry.names, entry.doc)).lower()]
    lacking = {name: place for name, place in UNSUPPORTED_WORDS.items() if not text or name.lower() == text}
    if not found and not lacking:
        near = suggest(asked.text, [name for entry in every for name in entry.names])
        raise UsageError(f"there is no word {asked.text!r}; {near}antiphon words lists all")
    return FoundWords(found, lacking)


@dataclass(frozen=True, slots=True)
class KnownModels:
    """Models of plugins and files of the library; the version of torch, whether with CUDA; the device for models."""

    models: list[Row]
    files: list[FileListing]
    torch: str | None
    cuda: bool
    device: str


def models(asked: ModelsRequest) -> KnownModels:
    """Lists the models, and checks each."""
    from antiphon.kernel.workers import devices
    from antiphon.networks.info import examine_models, files, known_models

    places = (None if given is None else Path(given) for given in (asked.plugins_dir, asked.models_dir))
    plugins_dir, models_dir = places
    registered, failed = known_models(plugins_dir)
    rows, own, build = examine_models(registered, models_dir), files(plugins_dir), devices.installed_torch()
    problems = [*failed, *(row.problem for row in rows), *(row.problem for row in own)]
    ASKER.get().fail(filter(None, problems))
    found = build.version if build else None
    return KnownModels(rows, own, found, bool(build and build.cuda), devices.resolve("auto"))


_LINES = "antiphon.cli.lists"
LISTS = {
    one.name: one
    for one in (
        SharedOperation("patches", PatchesRequest, patches, Any, f"{_LINES}:patches", local=True),
        SharedOperation("sets", SetsRequest, sets, Any, f"{_LINES}:sets", local=True),
        SharedOperation("plugins", PluginsRequest, plugins, Any, "antiphon.cli.plugins:plugins", local=True),
        SharedOperation("words", WordsRequest, words, Any, f"{_LINES}:words", local=True),
        SharedOperation("models", ModelsRequest, models, Any, f"{_LINES}:models", local=True),
    )
}
"""Antiphon's own operations, by name."""


def shared_operations() -> dict[str, SharedOperation]:
    """Antiphon's operations and those of all plugins, by name, without those of failed plugins."""
    dispatcher = import_plugins(hook_lists().plugins_with_hook("antiphon_operations"), lambda name, error: None)
    added = (added_operations(dispatcher, plugin)[0] for plugin in dispatcher.implemented)
    return LISTS | {one.name: one for some in added for one in some}


@word_refusals
def ask(name: str, /, **given: Any) -> Any:
    """Runs an operation: `antiphon.ask("library search", words=["night"])`; returns its answer.

    Raises AntiphonError: there is no such operation, an argument is not allowed, or the operation refuses.
    """
    if not isinstance(name, str):
        raise UsageError(f"the first argument is the name of an operation, not {short_repr(name)}")
    known = LISTS if name in LISTS else shared_operations()
    if name not in known:
        raise UsageError(f"there is no operation {name!r}{instead(name, sorted(known))}")
    return known[name].ask(given)
