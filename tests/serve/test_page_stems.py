"""The faders of stems in the room Files: a song that was taken apart is mixed anew, in a real browser."""

from __future__ import annotations

import pytest
from tests.chromium import Tab, needs_chromium
from tests.serve.test_page_files import SECONDS, click, ended, home, player, press, run, server, tab, tone  # noqa: F401

pytestmark = [pytest.mark.real, needs_chromium]


def test_a_song_is_mixed_anew_by_the_faders_of_its_stems(tab: Tab) -> None:  # noqa: F811
    job = run(tab, "Plugin", "stems")
    assert ended(tab, job) == "done"
    click(tab, f'[data-job="{job}"]', "Mix")
    tab.until("document.querySelectorAll('.faders input').length === 4 && antiphonPlayer().length > 3.9")
    assert player(tab)["side"] == "B"
    pictures = "[...document.querySelectorAll('.pictures canvas')].map(one => one.clientWidth)"
    assert min(tab.run(pictures)) > 1200, "waveforms and spectrograms are as wide as the window"
    tab.run("document.querySelector('.player').focus()")
    press(tab, " ", "Space")
    tab.until("antiphonPlayer().rms > 0.1")
    tab.run("document.querySelector('.faders input').focus()")
    press(tab, "ArrowRight", "ArrowRight")
    assert tab.run("document.querySelector('.faders input').value") == "1.01", "an arrow moves the fader, not the place"
    for fader in range(4):
        tab.run(
            f"(() => {{ const one = document.querySelectorAll('.faders input')[{fader}]; one.value = '0'; "
            "one.dispatchEvent(new Event('input', {bubbles: true})) })()"
        )
    tab.until("antiphonPlayer().playing && antiphonPlayer().rms < 0.001")
    click(tab, ".player", "A")
    tab.until("antiphonPlayer().rms > 0.1")  # the song itself has no fader
    press(tab, " ", "Space")
    tab.run(
        "(() => { const make = URL.createObjectURL; "
        "URL.createObjectURL = file => (window.mixSize = file.size, make(file)) })()"
    )
    click(tab, ".faders", "Save mix")
    rate = tab.run("new AudioContext().sampleRate")  # browsers decode to their own
    assert tab.until("window.mixSize") == pytest.approx(58 + 4 * SECONDS * rate, abs=8)
