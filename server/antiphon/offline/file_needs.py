"""What a processor needs where it works on files, as it declares: for the command line, HTTP and Python."""

from collections.abc import Iterator, Mapping

from antiphon.kernel.contract.catalog import ProcessorInfo
from antiphon.kernel.contract.params import Param, Value
from antiphon.kernel.errors import PluginError


def check_writes(info: ProcessorInfo) -> None:
    """Raises `PluginError` for a processor without an audio or events output: nothing to write to a file."""
    if info.first("audio", "out") is None and info.first("events", "out") is None:
        raise PluginError(
            f"{info.type} gives neither sound nor notes, so that there is nothing to write; use it in a patch"
        )


def lacking(info: ProcessorInfo, values: Mapping[str, Value]) -> Param | None:
    """First parameter required for files that `values` lacks, or whose choice is not valid for files."""
    use = info.on_files
    if any(f"{name}={value}" in use.exempt for name, value in values.items()):
        return None
    for param in needed(info):
        value = values.get(param.name, "")
        if value in ("", None) if param.kind == "file" else value != param.default:
            return param
    return None


def idle(info: ProcessorInfo, values: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    """Given parameters that have no effect on files, each with the "name=value" that makes it so, or ""."""
    all_values = {p.name: p.default for p in info.params} | dict(values)
    for name, _, condition in (entry.partition(" ") for entry in info.on_files.idle):
        of, _, value = condition.partition("=")
        if name in values and (not condition or str(all_values[of]) == value):
            yield name, condition


def transposes(info: ProcessorInfo, values: Mapping[str, Value]) -> bool:
    """Whether it changes the pitch of a sound: always, or by values in semitones or cents."""
    by = (p for p in info.params if p.unit in ("semitones", "cents") and not p.readonly)
    moved = any(values.get(p.name, p.default) != p.default for p in by)
    return info.first("audio", "in") is not None and (moved or "pitch" in info.on_files.changes)


def needed(info: ProcessorInfo) -> tuple[Param, ...]:
    """Parameters that must be given on the command line for files."""
    return tuple(p for p in info.params if p.name in info.on_files.needs)


def needed_value(param: Param) -> str:
    """Usage text for a required parameter's value: "FILE", or the only choice."""
    return "FILE" if param.kind == "file" else str(param.default)
