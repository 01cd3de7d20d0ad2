"""Reads and writes plugin states beyond the controls, in the folder of the performer's patches: NAME.state."""

import base64
import json
from pathlib import Path

from antiphon.api import FileError, ParamError
from antiphon.api.backends.files import patches_folder, path_inside, write_atomic

MAX_BYTES = 64 << 20


def place_of(name: str) -> Path:
    """Path of a state. Raises FileError: the name has more than one path component."""
    return path_inside(patches_folder(), name, ".state")


def read(name: str, address: str) -> bytes:
    """State of that name; empty if there is none. Raises ParamError: it belongs to another plugin, or is damaged."""
    try:
        with place_of(name).open("rb") as file:
            kept = json.loads(file.read(MAX_BYTES))
        if kept["address"] != address:
            raise ParamError(f"state: {name} is the state of {kept['address']}; choose another name")
        return base64.b64decode(kept["state"])
    except FileNotFoundError:
        return b""
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParamError(f"state: {name} cannot be read: {error}") from None


def write(name: str, address: str, state: bytes) -> None:
    """Saves a state. Raises FileError: it cannot be written, or exceeds the size limit of reading."""
    text = json.dumps({"address": address, "state": base64.b64encode(state).decode()}).encode()
    if len(text) > MAX_BYTES:
        raise FileError(f"the state {name} has {len(text) >> 20} MB; at most {MAX_BYTES >> 20} MB are kept")
    write_atomic(place_of(name), text)
