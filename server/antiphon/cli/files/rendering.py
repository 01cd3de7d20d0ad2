"""A patch rendered to a file: what `antiphon render` does for a patch, and for each stem of a script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from antiphon.cli.terminal.errors import complain
from antiphon.kernel.errors import UsageError

if TYPE_CHECKING:
    from antiphon.kernel.contract.block import Samples, StreamSpec
    from antiphon.kernel.contract.params import Param
    from antiphon.kernel.graph.patch import Patch
    from antiphon.kernel.plugins.loader import Loaded
    from antiphon.kernel.session.commands import Command
    from antiphon.kernel.synth.info import OfflinePasses
    from antiphon.offline.file_ends import Tail
    from antiphon.offline.hearing import BlockListener
    from antiphon.offline.output_summary import Written
    from antiphon.offline.rendering import PlayerRunner


@dataclass(frozen=True, slots=True)
class PatchRender:
    """A patch to be rendered.

    Attributes:
        source: The input's path, or None for silence.
        subtype: Subtype of the input, whose bit depth is kept.
        frames: Length of the output without its tail; None for that of the input.
        expected: Frames to expect, for the progress bar; None where they are not known.
        fade: Seconds of the fade at the end.
        rate: Hz of the file; 0 for that of `spec`, or the nearest that the file's format holds.
        cue: The pair of channels that holds the cue, such as "3-4"; "" leaves it out.
    """

    loaded: Loaded
    patch: Patch
    spec: StreamSpec
    source: str | None
    subtype: str
    frames: int | None
    expected: int | None
    tail: Tail
    fade: float
    rate: int = 0
    cue: str = ""

    def write(self, out: str, commands: Sequence[Command], name: str) -> RenderedFile:
        """Renders it with commands.

        Raises:
            AntiphonError: It cannot be rendered; no file is left.
        """
        from antiphon.cli.terminal.progress import ProgressBar
        from antiphon.kernel.io.audiowrite import AudioWriter
        from antiphon.kernel.synth.choosing import chosen
        from antiphon.offline.file_ends import fade_end
        from antiphon.offline.output_summary import Written
        from antiphon.offline.runner import process_stream

        rate, channels = self.spec.rate, 2 * len(self._pairs) if self._pairs else self.spec.channels

        def prepared() -> PlayerRunner:
            return self._runner(commands)

        with ExitStack() as stack:
            passes = chosen().info.make_support().passes(live=0)
            if passes is not None:
                self._play_passes(stack.enter_context(passes), prepared)
            blocks = self._blocks(stack)
            writer = stack.enter_context(AudioWriter(out, rate, channels, self.subtype, self.rate))
            progress = stack.enter_context(ProgressBar(name, self.expected, rate))
            runner = stack.enter_context(closing(prepared()))
            rendered = process_stream(blocks, runner, self.frames, progress.update, self.tail)
            for samples in fade_end(rendered, rate, self.fade):
                writer.write(samples)
            lost, words = tuple(runner.counts()), runner.vocabularies()
        written = Written.sound(writer, name)
        return RenderedFile(writer.name, writer.frames, written, tuple(runner.failures), runner.dropped, lost, words)

    def hear(self, commands: Sequence[Command], hearing: BlockListener) -> None:
        """Runs it with commands and without a file, for what is heard."""
        from antiphon.offline.runner import process_stream

        with ExitStack() as stack:
            runner = stack.enter_context(closing(self._runner(commands)))
            runner.listener = hearing.block
            for _ in process_stream(self._blocks(stack), runner, self.frames):
                pass

    @property
    def _pairs(self) -> tuple[str, ...]:
        """The pairs of channels of the file; () for the graph's output alone."""
        from antiphon.kernel.engine.output_buses import pairs_of

        pairs = pairs_of(self.patch.graph, self.cue)
        if len(pairs) > 1 and self.spec.channels != 2:
            raise UsageError(f"the patch plays {len(pairs)} pairs of channels; give an IN of one or two channels")
        return pairs if len(pairs) > 1 else ()

    def _runner(self, commands: Sequence[Command]) -> PlayerRunner:
        from antiphon.offline.rendering import PlayerRunner

        loaded, patch = self.loaded, self.patch
        return PlayerRunner(patch.graph, loaded.catalog, loaded.make, self.spec, patch.tempo, commands, self._pairs)

    def _blocks(self, stack: ExitStack) -> Iterable[Samples]:
        from antiphon.kernel.io.audiofile import stream

        return stack.enter_context(stream(self.source))[1] if self.source is not None else ()

    def _play_passes(self, passes: OfflinePasses, prepared: Callable[[], PlayerRunner]) -> None:
        """Runs the patch without output until the synth has rendered its notes; the next runner uses that sound."""
        from antiphon.offline.runner import process_stream

        # the synth is silent in these passes, so the tail's end cannot be found by level
        whole = replace(self.tail, level=0.0)
        while True:
            passes.begin()
            with ExitStack() as inner:
                blocks = self._blocks(inner)
                runner = inner.enter_context(closing(prepared()))
                played = sum(samples.shape[1] for samples in process_stream(blocks, runner, self.frames, tail=whole))
            if passes.done(played + runner.latency + runner.spec.block, runner.spec.rate):
                return


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """The file that a rendering wrote.

    Attributes:
        name: The file, as text.
        frames: Its length, at the rate of the patch.
        failures: (node, reason) of the nodes that failed.
        dropped: Events that exceeded the limit of a block.
        lost: (node, parameter, count) of notes that a node could not play.
        vocabularies: What text parameters can name, by node and parameter.
    """

    name: str
    frames: int
    written: Written
    failures: tuple[tuple[str, str], ...]
    dropped: int
    lost: tuple[tuple[str, Param, int], ...] = ()
    vocabularies: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def complaints(self, explained: Mapping[str, int] = MappingProxyType({})) -> bool:
        """Prints what went wrong, and returns whether any of it is a failure of the render.

        Args:
            explained: Notes that were lost for a reason that was printed, by node.
        """
        for node, param, count in self.lost:
            if count > explained.get(node, 0):
                complain(f"{node}.{param.name} is {count}: {param.doc}")
        for node, reason in self.failures:
            complain(f"{node} was bypassed from its failure on: {reason}")
        if self.dropped:
            complain(f"{self.dropped} events exceeded the limit of one block and are missing in {self.name}")
        return bool(self.failures or self.dropped)
