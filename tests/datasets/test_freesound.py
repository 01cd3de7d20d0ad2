"""A search fetched from a server that speaks the documented API: pages, licences, limits, keys, refusals."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner
from tests.datasets.trees import sound

from antiphon.cli.commands import application
from antiphon.kernel.errors import FileError, UsageError
from antiphon_models.datasets import freesound
from antiphon_models.datasets.checking import check
from antiphon_models.datasets.freesound import KEY, Freesound, FreesoundSearch, key_from
from antiphon_models.datasets.layouts.sounds import freesound as listing

SECRET = "k3yOfATest"


class Site:
    """A server with `count` sounds, two to a page. busy: refusals with 429 to come. requests: (path, authorization)."""

    def __init__(self, preview: bytes, count: int = 5) -> None:
        self.count, self.preview, self.busy = count, preview, 0
        self.requests: list[tuple[str, str | None]] = []
        self.elsewhere = ""
        self.previews_break_at: int | None = None
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append((self.path, self.headers.get("Authorization")))
                status, headers, body = site.answer(self.path, self.headers.get("Authorization"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str, key: str | None) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(path)
        if parts.path.startswith("/previews/"):
            number = int(parts.path.rsplit("/", 1)[1].split(".")[0])
            return (500, {}, b"") if number == self.previews_break_at else (200, {}, self.preview)
        if self.elsewhere:
            return 302, {"Location": self.elsewhere}, b""
        if key != f"Token {SECRET}":
            return 401, {}, b'{"detail": "Invalid token"}'
        if self.busy:
            self.busy -= 1
            return 429, {"Retry-After": "7"}, b""
        page = int(parse_qs(parts.query)["page"][0])
        first = 2 * (page - 1)
        rows: list[dict[str, Any]] = [
            {
                "id": n,
                "name": f"rain {n}",
                "username": f"owner{n}",
                "license": "http://creativecommons.org/by/3.0/",
                "tags": ["rain", "wet"],
                "duration": 1.5,
                "url": f"https://freesound.org/s/{n}/",
                "previews": {"preview-hq-mp3": f"{self.url}/previews/{n}.mp3"},
            }
            for n in range(first, min(first + 2, self.count))
        ]
        more = f"http://elsewhere.invalid/?page={page + 1}" if first + 2 < self.count else None
        return 200, {}, json.dumps({"count": self.count, "next": more, "results": rows, "previous": None}).encode()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    sound(tmp_path / "preview.mp3")
    made = Site((tmp_path / "preview.mp3").read_bytes())
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()


def fetched(site: Site, folder: Path, search: FreesoundSearch, pauses: list[float] | None = None) -> tuple[int, ...]:
    pause = pauses.append if pauses is not None else lambda _: None
    counts = Freesound(SECRET, site.url, pause).fetch(search, folder, lambda *_: None)
    return counts.fetched, counts.known, counts.left


def test_all_pages_are_fetched_with_owner_tags_and_licence(site: Site, tmp_path: Path) -> None:
    search = FreesoundSearch("rain", longest=20.0, licences=("cc0", "by"))
    assert fetched(site, tmp_path / "rain", search) == (5, 0, 0)
    items = listing(tmp_path / "rain").items
    assert [item.name for item in items] == ["0", "1", "2", "3", "4"]
    assert items[0].labels == ("rain", "wet", "licence:http://creativecommons.org/by/3.0/")
    assert items[0].group == "owner0"
    assert check("freesound", tmp_path / "rain", thorough=True).whole
    query = parse_qs(urlsplit(site.requests[0][0]).query)
    assert query["filter"] == ['duration:[0 TO 20] license:("Creative Commons 0" OR "Attribution")']
    assert {key for path, key in site.requests if "/previews/" in path} == {None}, "the key goes to the search alone"
    assert not any(SECRET in path for path, _ in site.requests)


def test_a_fetch_that_broke_goes_on_and_fetches_nothing_twice(site: Site, tmp_path: Path) -> None:
    site.previews_break_at = 3
    with pytest.raises(FileError, match="status 500; what was fetched is kept"):
        fetched(site, tmp_path / "rain", FreesoundSearch("rain"))
    assert sorted(path.name for path in (tmp_path / "rain/audio").iterdir()) == ["0.mp3", "1.mp3", "2.mp3"]
    site.previews_break_at = None
    assert fetched(site, tmp_path / "rain", FreesoundSearch("rain")) == (2, 3, 0)
    assert fetched(site, tmp_path / "rain", FreesoundSearch("wet")) == (0, 5, 0)
    assert json.loads((tmp_path / "rain/sounds.json").read_text())["0"]["queries"] == ["rain", "wet"]


def test_no_more_than_asked_and_none_that_is_too_large(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetched(site, tmp_path / "few", FreesoundSearch("rain", most=3)) == (3, 0, 0)
    monkeypatch.setattr(freesound, "LARGEST_PREVIEW", 10)
    assert fetched(site, tmp_path / "none", FreesoundSearch("rain")) == (0, 0, 5)
    assert json.loads((tmp_path / "none/sounds.json").read_text()) == {}


def test_a_busy_server_is_asked_again_after_the_time_it_names_and_not_for_ever(site: Site, tmp_path: Path) -> None:
    pauses: list[float] = []
    site.busy = 2
    assert fetched(site, tmp_path / "rain", FreesoundSearch("rain", most=1), pauses) == (1, 0, 0)
    assert pauses == [7.0, 7.0]
    site.busy = 100
    with pytest.raises(FileError, match="no more requests for now"):
        fetched(site, tmp_path / "rain", FreesoundSearch("rain"), pauses)


def test_the_key_follows_no_redirect_and_is_in_no_message(site: Site, tmp_path: Path) -> None:
    other = Site(b"")
    thread = threading.Thread(target=other.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    site.elsewhere = f"{other.url}/apiv2/search/text/?page=1"
    with pytest.raises(FileError, match="status 302") as refused:
        fetched(site, tmp_path / "rain", FreesoundSearch("rain"))
    other.server.shutdown()
    other.server.server_close()
    assert other.requests == []
    assert SECRET not in str(refused.value)
    with pytest.raises(UsageError, match="would be sent in clear"):
        Freesound(SECRET, "http://freesound.org")


def test_the_key_is_from_a_file_or_the_environment_and_never_shown(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key"
    path.write_text(f"{SECRET}\n")
    assert key_from(path) == SECRET
    monkeypatch.setenv(KEY, SECRET)
    assert key_from(None) == SECRET
    path.write_text(f"{SECRET} and more")
    with pytest.raises(UsageError, match="is no key") as refused:
        key_from(path)
    assert SECRET not in str(refused.value)
    monkeypatch.delenv(KEY)
    with pytest.raises(UsageError, match="there is no key in the environment's ANTIPHON_FREESOUND_KEY"):
        key_from(None)
    path.write_text("anotherKey")
    arguments = ["dataset", "fetch", "freesound", "rain", str(tmp_path / "out"), "--server", site.url]
    result = CliRunner().invoke(application(), [*arguments, "--key-file", str(path)])
    assert isinstance(result.exception, FileError)
    assert "does not accept the key" in str(result.exception)
    path.write_text(SECRET)
    result = CliRunner().invoke(application(), [*arguments, "--key-file", str(path), "--most", "1", "--json"])
    assert json.loads(result.stdout.splitlines()[-1]) == {"fetched": 1, "known": 0, "left": 0}
    assert SECRET not in result.output
