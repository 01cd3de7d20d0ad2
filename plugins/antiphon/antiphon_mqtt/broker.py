"""Broker address: host, port, user and password of a URL."""

import ssl
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from antiphon.api import UsageError

PORTS = {"mqtt": 1883, "mqtts": 8883}
"""Default ports of MQTT and of MQTT over TLS, as assigned by IANA."""


@dataclass(frozen=True, slots=True)
class Broker:
    """An MQTT broker. `user`, `password`: "" for none. `written`: the password as it is encoded in the URL.

    `tls`: whether TLS is used, with a certificate that this machine trusts.
    """

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    written: str = field(default="", repr=False)
    tls: bool = False

    def tls_context(self) -> ssl.SSLContext | None:
        """TLS context of a client of this broker; None without TLS."""
        return ssl.create_default_context() if self.tls else None


def mqtt_broker(url: str, option: str = "--mqtt-url") -> Broker:
    """Parses mqtt://user:password@host:port, or mqtts:// for TLS; user, password and port are optional.

    `option` names it in errors.

    Raises UsageError: the URL is invalid.
    """
    # the message must not quote the URL: it contains a password
    wrong = UsageError(
        f"{option} takes mqtt://user:password@host:port, or mqtts:// for TLS; in a password write @ : / ? # % as "
        "%40 %3A %2F %3F %23 %25"
    )
    try:
        parts = urlsplit(url)
        port = PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in PORTS or not parts.hostname or not port or parts.path.strip("/") or parts.query:
        raise wrong
    if parts.fragment or not parts.hostname.isprintable() or " " in parts.hostname:
        raise wrong
    written = parts.password or ""
    user, tls = unquote(parts.username or ""), parts.scheme == "mqtts"
    return Broker(parts.hostname, port, user, unquote(written), written, tls)
