"""The owner's token, in a file that only the owner can read, and its proof without sending it.

A program sends `/live/join NONCE`. The server answers `/live/challenge NONCE PROOF`, which requires the token, and the
program's next message proves the same. Each proof covers both nonces, so that it is invalid on another connection, the
port, so that a program on another port cannot relay it, and its purpose.
"""

import contextlib
import hmac
import logging
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths

log = logging.getLogger("antiphon.lan")

TOKEN_FILE = "token"
CERTIFICATE_FILE = "certificate.pem"
"""The certificate of this user's servers with `--lan`."""
TOKEN = re.compile(r"[0-9a-f]{32}")


def load_token(folder: Path) -> str:
    """Reads the token; creates one if it is missing, damaged or was readable by others. Raises `FileError`."""
    path = folder / TOKEN_FILE
    try:
        token = find_token(folder)
    except OSError as error:
        raise FileError(f"the token {path} cannot be read ({error.strerror}): remove it for a new one") from None
    if token:
        return token
    if os.path.lexists(path):
        log.warning("the token in %s was damaged or could be read by others: a new one was made", folder)
    token = secrets.token_hex(16)
    paths.write_atomic(path, token.encode() + b"\n", 0o600)
    return token


def find_token(folder: Path) -> str:
    """Reads the token; "" if it is missing, damaged or was readable by others. Raises `OSError`."""
    try:
        descriptor = os.open(folder / TOKEN_FILE, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except FileNotFoundError:
        return ""
    try:
        private = stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077 == 0
        token = os.read(descriptor, 64).decode("latin-1").strip()
    finally:
        os.close(descriptor)
    return token if private and TOKEN.fullmatch(token) else ""


class OwnerToken:
    """The token of a running server: that of the file, which the owner may have changed since the start."""

    def __init__(self, folder: Path) -> None:
        """Reads the token, or creates one. Raises the errors of `load_token`."""
        self._folder, self._token = folder, load_token(folder)
        self._seen = self._stamp()

    def __call__(self) -> str:
        """The file's token; if it has none now, the last one read."""
        if self._seen != (seen := self._stamp()):
            self._seen = seen
            with contextlib.suppress(OSError):
                self._token = find_token(self._folder) or self._token
        return self._token

    def _stamp(self) -> object:
        try:
            found = os.lstat(self._folder / TOKEN_FILE)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_mode


Purpose = Literal["server", "performer", "hand over", "perform"]
"""Statement proved: the server has the token; the performer has it; a script is sent; a script is to be performed."""


def nonce() -> str:
    """Random number for one use, as 32 hexadecimal digits."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class TokenProof:
    """Creates and checks the proofs of one connection."""

    token: str
    port: int
    asked: str
    given: str

    def make(self, purpose: Purpose, *parts: str) -> str:
        """Makes the proof for texts, 64 hexadecimal digits. Raises UnicodeEncodeError: UTF-8 cannot encode one."""
        code = hmac.new(self.token.encode(), digestmod="sha256")
        for part in ("antiphon", purpose, str(self.port), self.asked, self.given, *parts):
            data = part.encode()
            code.update(len(data).to_bytes(8, "big") + data)
        return code.hexdigest()

    def check(self, proof: object, purpose: Purpose, *parts: str) -> bool:
        """Returns whether `proof` is valid for these texts, compared in constant time."""
        try:
            return isinstance(proof, str) and hmac.compare_digest(proof.encode(), self.make(purpose, *parts).encode())
        except UnicodeEncodeError:
            return False
