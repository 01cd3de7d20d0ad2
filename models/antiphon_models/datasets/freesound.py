"""Fetches a Freesound search as a data set, with the user's own key: previews with tags, owner and licence of each.

The API is version 2 with a token (text search: https://freesound.org/docs/api/). Originals need OAuth 2, previews (MP3
of 128 kbit/s) do not. The key is sent in a header to the one server that is named, never to the target of a redirect.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from antiphon.api import FileError, UsageError
from antiphon.api.backends.files import reason_of_os_error, write_atomic
from antiphon.api.backends.runtime import shorten
from antiphon_models.datasets import tables
from antiphon_models.datasets.layouts.sounds import SOUNDS

SERVER = "https://freesound.org"
KEY = "ANTIPHON_FREESOUND_KEY"
"""Environment variable of the key, where no file is named."""
LICENCES = {"cc0": "Creative Commons 0", "by": "Attribution", "by-nc": "Attribution Noncommercial"}
"""Licences, as spelled in the server's filter."""
PAGE_SIZE = 150
"""Sounds per page, the server's maximum."""
MAX_SOUNDS = 10_000
"""Maximum sounds of a search."""
LARGEST_ANSWER, LARGEST_PREVIEW = 16 << 20, 32 << 20
"""Maximum bytes; a preview of one hour has 58 MB and is left out."""
TIMEOUT = 30.0
SEARCH_INTERVAL = 1.0
"""Minimum seconds between two searches: the server allows 60 a minute."""
TRIES, MAX_PAUSE = 4, 60.0
"""Attempts per request while the server is busy, and maximum seconds between them."""
_FIELDS = "id,name,username,license,tags,duration,url,previews"
_LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class FreesoundSearch:
    """A search on Freesound.

    `query`: words, as in the site's own search. `most`: maximum number of sounds. `longest`: maximum seconds of a
    sound; 0 for any. `licences`: allowed keys of `LICENCES`; empty for any.
    """

    query: str
    most: int = 100
    longest: float = 0.0
    licences: tuple[str, ...] = ()


@dataclass(slots=True)
class FetchCounts:
    """Number of sounds fetched now, present before, and left out (too large, or without a preview)."""

    fetched: int = 0
    known: int = 0
    left: int = 0


def key_from(path: Path | None) -> str:
    """The API key, from a file or from the environment.

    Raises `UsageError`: the key is missing or malformed. The message does not contain it.
    """
    where = f"the environment's {KEY}" if path is None else str(path)
    try:
        key = (os.environ.get(KEY, "") if path is None else path.read_text("utf-8")[:1000]).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = reason_of_os_error(error) if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"cannot read the key from {path}: {reason}") from None
    if not key:
        raise UsageError(f"there is no key in {where}: Freesound gives one to each user (freesound.org/apiv2/apply)")
    if not key.isascii() or not key.isalnum() or len(key) > 200:
        raise UsageError(f"what is in {where} is no key: it has letters and digits alone, in one line")
    return key


class Freesound:
    """Downloads the results of a search into a folder; an interrupted download can be resumed.

    `server`: where the API is; https is required unless it is on this machine. `pause`: called with the seconds to
    wait. Raises `UsageError`: the key would be sent in clear.
    """

    def __init__(self, key: str, server: str = SERVER, pause: Callable[[float], None] = time.sleep) -> None:
        parts = urlsplit(server)
        if not parts.hostname or (parts.scheme != "https" and parts.hostname not in _LOCAL):
            raise UsageError(f"{shorten(server, 80)} is not https://…, and the key would be sent in clear")
        self._key, self._server, self._pause = key, server.rstrip("/"), pause
        self._local = parts.hostname in _LOCAL
        self._api = build_opener(_NoRedirect)
        self._files = build_opener()

    def fetch(self, search: FreesoundSearch, folder: Path, progress: Callable[[int, int, str], None]) -> FetchCounts:
        """Downloads missing sounds into `folder`: `SOUNDS`, and the previews in audio/.

        `progress` is called before each sound with the number done, the total, and its name.

        Raises `FileError`: the server does not answer as documented, refuses, or the folder cannot be written.
        `UsageError`: the search is invalid.
        """
        check(search)
        known = tables.json_object(folder / SOUNDS) if (folder / SOUNDS).is_file() else {}
        counts = FetchCounts()
        page, done = 1, 0
        while True:
            answer = self._search(search, page)
            found = answer.get("results")
            if not isinstance(found, list):
                raise FileError("Freesound's answer is not as its documents say: it has no results")
            rows = [(_number(row), row) for row in found[: search.most - done]]
            count = answer.get("count")
            total = min(search.most, count) if isinstance(count, int) else search.most
            for number, row in rows:
                before = known.get(str(number), {}).get("queries", [])
                about = {key: row.get(key) for key in ("name", "username", "license", "tags", "duration", "url")}
                known[str(number)] = {**about, "queries": sorted({*before, search.query})}
            # what is known of a sound comes first: one that is there has its licence
            self._keep(folder, known)
            for number, row in rows:
                progress(done, total, str(number))
                if not self._one(number, row, folder, counts):
                    del known[str(number)]
                done += 1
            self._keep(folder, known)
            if not answer.get("next") or not rows or done >= search.most:
                return counts
            page += 1
            self._pause(SEARCH_INTERVAL)

    def _one(self, number: int, row: Mapping[str, Any], folder: Path, counts: FetchCounts) -> bool:
        """Downloads a preview; returns False where it is left out."""
        path = folder / "audio" / f"{number}.mp3"
        if path.is_file():
            counts.known += 1
            return True
        previews = row.get("previews")
        link = previews.get("preview-hq-mp3") if isinstance(previews, dict) else None
        content = self._preview(link) if isinstance(link, str) else None
        if content is None:
            counts.left += 1
            return False
        write_atomic(path, content)
        counts.fetched += 1
        return True

    def _keep(self, folder: Path, known: Mapping[str, Any]) -> None:
        write_atomic(folder / SOUNDS, json.dumps(known, indent=1, sort_keys=True).encode())

    def _search(self, search: FreesoundSearch, page: int) -> Mapping[str, Any]:
        wanted = {"query": search.query, "fields": _FIELDS, "page": page, "page_size": PAGE_SIZE, "sort": "created_asc"}
        filters = []
        if search.longest:
            filters.append(f"duration:[0 TO {search.longest:g}]")
        if search.licences:
            names = " OR ".join(f'"{LICENCES[name]}"' for name in search.licences)
            filters.append(f"license:({names})")
        if filters:
            wanted["filter"] = " ".join(filters)
        url = f"{self._server}/apiv2/search/text/?{urlencode(wanted)}"
        content = self._get(self._api, Request(url, headers={"Authorization": f"Token {self._key}"}), LARGEST_ANSWER)
        try:
            answer = json.loads(content or b"")
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise FileError("Freesound's answer is not as its documents say: it is no JSON object")
        return answer

    def _preview(self, link: str) -> bytes | None:
        scheme = urlsplit(link).scheme
        if scheme != "https" and not (scheme == "http" and self._local):
            return None
        return self._get(self._files, Request(link), LARGEST_PREVIEW)

    def _get(self, opener: OpenerDirector, request: Request, largest: int) -> bytes | None:
        """Content of a URL, with retries while the server is busy; None if too large."""
        for attempt in range(1, TRIES + 1):
            try:
                with opener.open(request, timeout=TIMEOUT) as answer:
                    content: bytes = answer.read(largest + 1)
                return content if len(content) <= largest else None
            except HTTPError as error:
                with error:
                    if error.code in (429, 502, 503, 504) and attempt < TRIES:
                        self._pause(_after(error.headers.get("Retry-After"), attempt))
                        continue
                    raise _refused(error.code) from None
            except (URLError, HTTPException, OSError) as error:
                if attempt == TRIES:
                    reason = getattr(error, "reason", None) or type(error).__name__
                    raise FileError(
                        f"Freesound does not answer ({reason}); what was fetched is kept, run the command again"
                    ) from None
                self._pause(_after(None, attempt))
        raise AssertionError


def _number(row: Any) -> int:
    number = row.get("id") if isinstance(row, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise FileError("Freesound's answer is not as its documents say: a sound has no number")
    return number


def check(search: FreesoundSearch) -> None:
    """Validates a search. Raises `UsageError`: it is invalid."""
    if not search.query.strip() or len(search.query) > 500:
        raise UsageError("the search has no words, or more than 500 characters")
    if not 1 <= search.most <= MAX_SOUNDS:
        raise UsageError(f"{search.most} sounds cannot be fetched: 1 to {MAX_SOUNDS:,} are allowed")
    for name in search.licences:
        if name not in LICENCES:
            raise UsageError(f"there is no licence {name!r}; Freesound's are {', '.join(LICENCES)}")


class _NoRedirect(HTTPRedirectHandler):
    """Refuses redirects, which would leak the header with the key."""

    def redirect_request(self, *_: Any) -> None:
        """Returns no new request, so that a redirect is an error."""
        return


def _after(header: str | None, attempt: int) -> float:
    try:
        return min(MAX_PAUSE, max(0.0, float(header or 2.0**attempt)))
    except ValueError:
        return 2.0**attempt


def _refused(code: int) -> FileError:
    if code in (401, 403):
        return FileError(f"Freesound does not accept the key (status {code}): use what it calls your API key")
    if code == 429:
        return FileError("Freesound allows no more requests for now; what was fetched is kept, run the command later")
    return FileError(f"Freesound answers with status {code}; what was fetched is kept, run the command again")
