"""Initial drum patterns and fills of the bar model, written by hand, since its training has few songs with drums."""

from __future__ import annotations

from collections.abc import Iterable

from antiphon_answer.bar_features import DRUMS, BarEvent, in_order

KICK, SNARE, HAT, TOM, CRASH = 0, 1, 2, 4, 5
PHRASE = 8
"""Bars between fills, as in the styles of `accompany`."""
_KICKS = ((0, 8), (0, 6, 8), (0, 8, 10), (0, 4, 8, 12), (0, 7, 10), (0, 3, 8, 14))
"""Sixteenths of the bass drum in a first bar."""
_FILLS: tuple[dict[int, int], ...] = (
    {8: SNARE, 10: SNARE, 12: SNARE, 13: SNARE, 14: TOM, 15: TOM},
    {8: SNARE, 9: SNARE, 10: TOM, 11: TOM, 12: SNARE, 14: TOM},
    {8: SNARE, 11: TOM, 12: SNARE, 14: TOM, 15: TOM},
    {12: SNARE, 13: SNARE, 14: TOM, 15: TOM},
)
"""Drum fills by the sixteenth of a bar of four beats; in other bars by that from its end."""


def drum_bar(bar: int, first: int, seed: int) -> list[BarEvent]:
    """Initial bar of drums: hi-hat in eighths, backbeat snare, a bass drum by the seed.

    With less to begin on the network, which has heard drums of many kinds, often leaves out the snare. bar: its
    sixteenths; first: its first slot.
    """
    events = [BarEvent(DRUMS, first + at, HAT) for at in range(0, bar, 2)]
    if bar // 4 % 2:
        # bars of an odd number of beats have one bass drum, as a waltz
        kicks, snares = {0}, set(range(4, bar, 4))
    else:
        kicks = {at + place for at in range(0, bar, 16) for place in _KICKS[seed % len(_KICKS)] if at + place < bar}
        snares = set(range(4, bar, 8))
    events += [
        BarEvent(DRUMS, first + at, number) for number, places in ((KICK, kicks), (SNARE, snares)) for at in places
    ]
    return in_order(events, bar)


def with_fills(events: Iterable[BarEvent], bar: int, first: int, end: int, seed: int) -> list[BarEvent]:
    """Drums with a fill at the end of every eighth bar but the last, and a crash on the next bar line.

    bar: sixteenths of one; first: slot of the bar line from which bars are counted; end: the slot after the last.
    """
    kept = list(events)
    for number, line in enumerate(range(first + PHRASE * bar, end, PHRASE * bar)):
        if not any(event.slot >= line for event in kept):
            break
        # another one each time, another order by each seed
        fill = {line - 16 + at: drum for at, drum in _FILLS[(seed + 3 * number) % len(_FILLS)].items()}
        fill = {slot: drum for slot, drum in fill.items() if slot >= line - bar}
        begun = min(fill)
        kept = [
            event for event in kept if not begun <= event.slot < line or (event.code == KICK and event.slot % 4 == 0)
        ]
        kept = [event for event in kept if event.slot != line or event.code not in (HAT, CRASH)]
        kept += [BarEvent(DRUMS, slot, drum) for slot, drum in fill.items()]
        kept.append(BarEvent(DRUMS, line, CRASH))
    return in_order(kept, bar)
