"""Checks with the token: the version, one sound through a job with its result compared, and its genre."""

from __future__ import annotations

import contextlib
import io
import json
import time
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from antiphon.doctor.deployment.client import DeployClient, HttpAnswer, NoAnswer
from antiphon.doctor.deployment.findings import DeployFinding, failure, skip, success
from antiphon.kernel.wire.text import printable

RATE = 48000
GAIN = 0.5
STEP = 2.0**-15
"""The error that a result may have: a step of 16 bits, of the file that is sent."""
EDGE_SECONDS = 0.1
"""Of the result's end, which is faded, and is not compared."""
JOB_SECONDS = 90.0
"""In which a job of a second's sound has to be done, one that begins cold in a small container."""
POLL_SECONDS = 0.25
GENRE = "/api/classify/genre"
GENRE_SECONDS = 5.0


def check_version(client: DeployClient) -> DeployFinding:
    """Compares the answering server's version with that of the program that asks."""
    from antiphon import __version__

    answer = client.ask("GET", "/api/openapi.json")
    if answer.status != 200:
        return _refused("version", answer)
    data = answer.json()
    info = data.get("info") if isinstance(data, dict) else None
    if not isinstance(info, dict) or info.get("title") != "Antiphon":
        return failure("version", "/api/openapi.json is not Antiphon's", "look at what answers at this address")
    version = printable(str(info.get("version"))[:40])
    same = "as this one" if version == __version__ else f"this one is {__version__}"
    return success("version", f"{version}, {same}")


def check_work(client: DeployClient) -> DeployFinding:
    """Uploads a sound, halves it by a job, compares the result, and removes both."""
    sound = signal(1.0)
    began = time.monotonic()
    sent = client.ask("POST", "/api/files?name=deploy-check.wav", wav(sound))
    if sent.status != 201:
        return _refused("work", sent)
    file, job = _identifier(sent), ""
    try:
        body = json.dumps({"file": file, "params": {"gain": GAIN}}).encode()
        asked = client.ask("POST", "/api/run/gain", body)
        if asked.status != 202:
            return _refused("work", asked)
        job = _identifier(asked)
        ended = _ended(client, job)
        if ended.get("state") != "done":
            reason = printable(str(ended.get("error", ""))[:300])
            return failure("work", f"the job is {printable(str(ended.get('state'))[:20])}: {reason}", "see its log")
        result = client.ask("GET", f"/api/jobs/{job}/result")
        if result.status != 200:
            return _refused("work", result)
        if wrong := difference(result.body, sound * GAIN):
            return failure("work", wrong, "compare its version with this one's")
    finally:
        _remove(client, f"/api/jobs/{job}" if job else "", f"/api/files/{file}")
    return success("work", f"a sound was sent, halved by a job and compared, in {time.monotonic() - began:.1f} s")


def check_genre(client: DeployClient) -> DeployFinding:
    """Classifies a sound, if the server has classifiers."""
    answer = client.ask("POST", GENRE, wav(signal(GENRE_SECONDS)))
    if answer.status in (404, 405):  # 405 where only the OSCQuery tree, which takes GET, has this address
        return skip("genre", f"this server has no {GENRE}")
    if answer.status not in (200, 201, 202):
        return _refused("genre", answer)
    if not isinstance(answer.json(), dict):
        return failure("genre", "the answer is not an object", "compare its version with this one's")
    return success("genre", f"{GENRE} answers in {answer.seconds:.1f} s")


def signal(seconds: float) -> NDArray[np.float64]:
    """Test signal of noise and a tone, `[frames]`, in steps of 16 bits, below -6 dBFS."""
    time_ = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(102).uniform(-0.1, 0.1, len(time_))
    return np.round((0.3 * np.sin(2 * np.pi * 440.0 * time_) + noise) * 32768) / 32768


def wav(sound: NDArray[np.float64]) -> bytes:
    """A sound as a WAV file of 16 bits."""
    written = io.BytesIO()
    soundfile.write(written, sound, RATE, "PCM_16", format="WAV")
    return written.getvalue()


def difference(content: bytes, expected: NDArray[np.float64]) -> str:
    """Describes how a sound file differs from the expected channels, `[frames]` each; "" where it is right."""
    try:
        found, rate = soundfile.read(io.BytesIO(content), dtype="float64", always_2d=True)
    except (soundfile.LibsndfileError, ValueError, TypeError):
        return "the result is no sound file"
    frames = len(expected) - round(EDGE_SECONDS * RATE)
    if rate != RATE or len(found) < frames:
        return f"the result has {len(found):,} frames at {rate} Hz, where {len(expected):,} at {RATE} were sent"
    worst = float(np.abs(found[:frames] - expected[:frames, None]).max())
    return f"the result is off by up to {worst:.4f}" if not worst <= STEP else ""


def _ended(client: DeployClient, job: str) -> dict[str, Any]:
    until = time.monotonic() + JOB_SECONDS
    while True:
        data = client.ask("GET", f"/api/jobs/{job}").json()
        if not isinstance(data, dict):
            raise NoAnswer("the server's job is no object")
        if data.get("state") not in ("waiting", "running"):
            return data
        if time.monotonic() > until:
            return {"state": str(data.get("state")), "error": f"it was not done within {JOB_SECONDS:g} s"}
        time.sleep(POLL_SECONDS)


def _remove(client: DeployClient, *paths: str) -> None:
    """Removes what the check made; a job that runs is cancelled first."""
    for path in filter(None, paths):
        with contextlib.suppress(NoAnswer):
            client.ask("DELETE", path)
            if path.startswith("/api/jobs/"):
                client.ask("DELETE", path)


def _identifier(answer: HttpAnswer) -> str:
    data = answer.json()
    found = data.get("id") if isinstance(data, dict) else None
    if not isinstance(found, str) or not found.isalnum() or not found.isascii() or len(found) > 64:
        raise NoAnswer("the server's answer has no identifier")
    return found


def _refused(name: str, answer: HttpAnswer) -> DeployFinding:
    advice = "look at the server's log"
    if answer.status in (401, 403):
        advice = "give the server's token with --token-file"
    elif answer.status in (421, 400):
        advice = "name the host with --proxy where the server is started"
    elif 300 <= answer.status < 400:
        advice = "name the address that it leads to"
    return failure(name, f"it is answered {answer.status}: {answer.reason or 'without a reason'}", advice)
