"""Broker address: host, port, user and password of a URL."""

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from antiphon.api import UsageError

MQTT_PORT = 1883
"""The port that IANA lists for MQTT without TLS."""


@dataclass(frozen=True, slots=True)
class Broker:
    """An MQTT broker. `user`, `password`: "" for none. `written`: the password as it stands in the URL."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    written: str = field(default="", repr=False)


def mqtt_broker(url: str, option: str = "--mqtt-url") -> Broker:
    """Parses mqtt://user:password@host:port, where user, password and port are optional; `option` names it in errors.

    Raises UsageError: it is none.
    """
    # the message must not quote the URL: it contains a password
    wrong = UsageError(
        f"{option} takes mqtt://user:password@host:port; in a password write @ : / ? # % as %40 %3A %2F %3F %23 %25"
    )
    try:
        parts = urlsplit(url)
        port = MQTT_PORT if parts.port is None else parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme != "mqtt" or not parts.hostname or not port or parts.path.strip("/") or parts.query:
        raise wrong
    if parts.fragment or not parts.hostname.isprintable() or " " in parts.hostname:
        raise wrong
    written = parts.password or ""
    return Broker(parts.hostname, port, unquote(parts.username or ""), unquote(written), written)
