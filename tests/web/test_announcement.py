"""Zeroconf with `--lan`, over loopback: names, ports and texts as a surface's browser finds them, and their end."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.waiting import comes
from tests.zeroconfs import LOOPBACK, PATIENCE, watching

from antiphon.kernel.errors import UsageError
from antiphon.kernel.runtime.settings import ServeSettings
from antiphon.web.oscquery import announcement
from antiphon.web.oscquery.announcement import OSC, OSCQUERY, Announcement, host_name, instance_name
from antiphon_bench.rig import free_port


@asynccontextmanager
async def announcing(one: Announcement) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(one.serve())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)


async def test_a_browser_finds_osc_and_oscquery_under_one_name_and_loses_both_at_the_end() -> None:
    async with watching() as watcher:
        port = free_port()
        one = Announcement(port, port + 1, LOOPBACK)
        async with announcing(one):
            query = await watcher.found(OSCQUERY, port + 1, port)
            osc = await watcher.found(OSC, port, port)
            assert query.name == f"{one.name}.{OSCQUERY}"
            assert osc.name == f"{one.name}.{OSC}"
            assert one.name.startswith("Antiphon on ")
            assert query.parsed_addresses() == osc.parsed_addresses() == [LOOPBACK]
            assert query.decoded_properties["path"] == "/"
            assert query.decoded_properties["scheme"] == "https"
            assert osc.decoded_properties["txtvers"] == "1"
        await watcher.gone(OSCQUERY, query.name)
        await watcher.gone(OSC, osc.name)


async def test_it_is_announced_once_the_machine_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcement, "LOOK_SECONDS", 0.05)
    addresses: list[tuple[str, ...]] = [()]
    looks: list[str] = []
    port = free_port()
    one = Announcement(port, port + 1, "all", lambda where: looks.append(where) or addresses[0])
    async with watching() as watcher, announcing(one):
        await comes(lambda: len(looks) >= 2, "it has found no address, and looks again")
        addresses[0] = (LOOPBACK,)
        assert (await watcher.found(OSC, port, port)).parsed_addresses() == [LOOPBACK]


async def test_an_address_that_is_not_there_is_reported_once_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(announcement, "LOOK_SECONDS", 0.01)
    looks, tried = 0, asyncio.Event()

    def look(where: str) -> tuple[str, ...]:
        nonlocal looks
        looks += 1
        if looks == 5:
            tried.set()
        return ("192.0.2.1",)

    async with announcing(Announcement(port := free_port(), port + 1, "all", look)) as task:
        await asyncio.wait_for(tried.wait(), PATIENCE)
        assert not task.done()
    assert len([m for m in caplog.messages if "not announced" in m]) == 1


def test_names_fit_a_label_of_dns() -> None:
    assert instance_name("studio.example.org") == instance_name("studio", 4400) == "Antiphon on studio"
    assert instance_name("studio", 4500) == "Antiphon on studio (4500)"
    assert host_name("Studio_2.example.org") == "antiphon-studio-2.local"
    for host in ("x" * 300, "ü" * 300, "", "..."):
        assert 0 < len(instance_name(host).encode()) <= 63
        assert len(instance_name(host, 65535).encode()) <= 63
        assert instance_name(host, 65535).endswith(" (65535)")
        assert 0 < len(host_name(host).removesuffix(".local").encode()) <= 63


def test_announce_takes_all_none_or_an_address_and_wants_lan() -> None:
    for announce in ("all", "none", "127.0.0.1"):
        ServeSettings(lan=True, announce=announce).check()
    with pytest.raises(UsageError, match="all, none or an IPv4 address of this machine, not 'wlan0'"):
        ServeSettings(lan=True, announce="wlan0").check()
    with pytest.raises(UsageError, match="--announce is about the network of --lan"):
        ServeSettings(announce="127.0.0.1").check()


def test_without_lan_nothing_imports_zeroconf() -> None:
    code = (
        "import sys, antiphon.web.process, antiphon.web.routes, antiphon.kernel.control.process\n"
        "import antiphon.kernel.engine.process\n"
        "sys.exit('zeroconf' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0
