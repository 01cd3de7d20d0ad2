"""The processor types and transports of loaded plugins as plain data: control reads it without importing a plugin."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from antiphon.kernel.contract.addresses import AddressInfo
from antiphon.kernel.contract.file_use import FileUse
from antiphon.kernel.contract.params import HOST_PARAMS, Param, Value
from antiphon.kernel.contract.ports import Port
from antiphon.kernel.errors import PluginError
from antiphon.kernel.runtime.importing import import_object


@dataclass(frozen=True)
class ProcessorInfo:
    """One processor type: its name, one-line doc, ports, own params, and the plugin it came from."""

    type: str
    doc: str
    plugin: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    params: tuple[Param, ...]
    holds: bool = False
    on_files: FileUse = field(default_factory=FileUse)
    version: int = 0  # number of its plugin's version: 0 for the files at the start, others for files saved since
    native: bool = False  # its processor offers a `step`, which the plan runs as machine code
    variants: str = ""  # as `Processor.variants`

    @cached_property
    def cells(self) -> tuple[Param, ...]:
        """Parameters of a node: the host's three, then its own; the index is the cell in realtime commands."""
        return HOST_PARAMS + self.params

    @cached_property
    def by_name(self) -> Mapping[str, Param]:
        """The `cells` by name."""
        return {p.name: p for p in self.cells}

    @property
    def variant(self) -> tuple[str, str]:
        """The type without its variant, and the variant: "plugin lv2:URI" is ("plugin", "lv2:URI")."""
        base, _, variant = self.type.partition(" ")
        return base, variant

    def written(self, values: Mapping[str, Value]) -> tuple[str, dict[str, Value]]:
        """Returns type and values as a patch file has them, where the variant is the value of a parameter."""
        base, variant = self.variant
        return base, {**({self.variant_parameter: variant} if variant else {}), **values}

    @property
    def variant_parameter(self) -> str:
        """Name of the parameter whose value selects the variant; "" for a type without variants."""
        return self.variants.partition("=")[0]

    @property
    def analyses(self) -> bool:
        """True if it takes sound and outputs none: its notes come by wires, not from files."""
        return self.first("audio", "in") is not None and self.first("audio", "out") is None

    @property
    def overhears(self) -> bool:
        """True if an events input has the flag `overhears`."""
        return any(port.overhears for port in self.inputs)

    @property
    def accepts_held_events(self) -> bool:
        """True if an events input has the flag `held`."""
        return any(port.held for port in self.inputs)

    def values_for_prepare(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The values, or defaults, of the parameters that `prepare` reads."""
        return {p.name: values.get(p.name, p.default) for p in self.params if p.restart or p.kind in ("text", "file")}

    def checked(self, values: Mapping[str, object]) -> dict[str, Value]:
        """Returns values by name, converted to their parameters' types. Raises ParamError: one is not allowed."""
        return {key: self.by_name[key].check(value) for key, value in values.items()}

    def port(self, name: str, side: str) -> Port | None:
        """The port of a name; `side`: "in" or "out"."""
        ports = self.inputs if side == "in" else self.outputs
        return next((p for p in ports if p.name == name), None)

    def moved(self, name: str) -> Param | None:
        """Parameter of that name, if a control wire may modulate it."""
        param = self.by_name.get(name)
        return param if param is not None and param.glides else None

    def first(self, kind: str, side: str) -> Port | None:
        """The first port of a kind; `side`: "in" or "out"."""
        ports = self.inputs if side == "in" else self.outputs
        return next((p for p in ports if p.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Failure:
    """A plugin or processor that did not load, with the reason in one sentence."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class TransportInfo:
    """A transport: its name, one-line doc, plugin, and the names of its options of `serve`.

    `table` and `always` are those of `Transport`.
    """

    name: str
    doc: str
    plugin: str
    options: tuple[str, ...] = ()
    table: str = ""
    always: bool = False


@dataclass(slots=True)
class Catalog:
    """Processor types, load failures, hooks by plugin, transports, and plugins' OSC addresses.

    Only `take` modifies a catalog; all parts of a process share one. `versions`: the folder of the version in use, for
    each plugin whose files were saved since the start. `places`: by kind, the "module:Name" of each factory.
    """

    types: Mapping[str, ProcessorInfo] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    transports: tuple[TransportInfo, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[AddressInfo, ...] = ()
    places: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> ProcessorInfo:
        info = self.get(name)
        if info is None:
            raise KeyError(name)
        return info

    def __contains__(self, name: object) -> bool:
        base, _, variant = str(name).partition(" ")
        return name in self.types or (bool(variant) and base in self.types and bool(self.types[base].variants))

    def __iter__(self) -> Iterator[str]:
        return iter(self.types)

    def get(self, name: str) -> ProcessorInfo | None:
        """The processor type of that name, or None.

        "TYPE VARIANT" is the type as its plugin declares it for that value of its parameter `variants`. Raises
        AntiphonError: there is no such variant.
        """
        info = self.types.get(name)
        if info is None and " " in name:
            base, _, variant = name.partition(" ")
            info = self.types.get(base)
            return _variant_info(info, variant) if info is not None and info.variants else None
        return info

    def tables(self) -> dict[str, str]:
        """Tables of patches that transports add: "module:function" of each one's check, by the table's name."""
        return {name: check for name, _, check in (each.table.partition("=") for each in self.transports) if name}

    def varied(self, name: str, values: Mapping[str, Any]) -> str:
        """Returns "TYPE VARIANT" by the value of the type's parameter `variants`; without one, the type's name."""
        info = self.types.get(name)
        variant = values.get(info.variant_parameter) if info is not None and info.variants else None
        return f"{name} {variant}" if isinstance(variant, str) and variant else name

    def copy(self) -> Catalog:
        """Returns a copy of the catalog with its present contents, for `take`."""
        return replace(self)

    def take(self, other: Catalog) -> None:
        """Replaces the contents by those of another catalog."""
        self.types, self.failures, self.hooks = other.types, other.failures, other.hooks
        self.transports, self.versions, self.addresses = other.transports, other.versions, other.addresses
        self.places = other.places

    def with_version(self, plugin: str, types: Mapping[str, ProcessorInfo], folder: str) -> Catalog:
        """Copy of the catalog with one plugin's types replaced by `types`.

        `folder`: folder of that version, "" for the version at start. Raises PluginError: a type has the name of
        another plugin's.
        """
        others = {name: info for name, info in self.types.items() if info.plugin != plugin}
        for name in types:
            if name in others:
                raise PluginError(f"there is one named {name!r} already, of {others[name].plugin}; choose another name")
        rest = {name: used for name, used in self.versions.items() if name != plugin}
        return replace(self, types={**others, **types}, versions={**rest, **({plugin: folder} if folder else {})})

    def to_json(self) -> dict[str, Any]:
        """Returns the catalog as data for another process."""
        return {
            "types": [asdict(info) for info in self.types.values()],
            "failures": [asdict(failure) for failure in self.failures],
            "hooks": {plugin: list(hooks) for plugin, hooks in self.hooks.items()},
            "transports": [asdict(info) for info in self.transports],
            "versions": dict(self.versions),
            "addresses": [asdict(info) for info in self.addresses],
            "places": {kind: dict(held) for kind, held in self.places.items()},
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Catalog:
        """Reads the data of `to_json`."""
        types = {}
        for item in data["types"]:
            types[item["type"]] = ProcessorInfo(
                item["type"],
                item["doc"],
                item["plugin"],
                tuple(Port(**p) for p in item["inputs"]),
                tuple(Port(**p) for p in item["outputs"]),
                tuple(Param(**{**p, "choices": tuple(p["choices"])}) for p in item["params"]),
                item["holds"],
                FileUse.from_json(item["on_files"]),
                item["version"],
                item["native"],
                item["variants"],
            )
        hooks = {plugin: tuple(names) for plugin, names in data["hooks"].items()}
        transports = tuple(TransportInfo(**{**t, "options": tuple(t["options"])}) for t in data["transports"])
        failures = tuple(Failure(**f) for f in data["failures"])
        addresses = tuple(AddressInfo(**info) for info in data["addresses"])
        places = {kind: dict(held) for kind, held in data["places"].items()}
        return Catalog(types, failures, hooks, transports, dict(data["versions"]), addresses, places)


@lru_cache(256)
def _variant_info(info: ProcessorInfo, variant: str) -> ProcessorInfo:
    """Returns a type's declaration for a value of its parameter `variants`, which becomes that parameter's default."""
    name, _, where = info.variants.partition("=")
    varied: ProcessorInfo = import_object(where)(info, variant)
    params = tuple(replace(p, default=variant) if p.name == name else p for p in varied.params)
    return replace(varied, type=f"{info.type} {variant}", params=params)


def defaults(info: ProcessorInfo) -> dict[str, Value]:
    """Every settable parameter's default, host parameters included."""
    return {p.name: p.default for p in info.cells if not p.readonly}
