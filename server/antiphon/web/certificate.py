"""The self-signed certificate of `--lan`: P-256, for this machine's addresses, valid for a year."""

import datetime
import ipaddress
import os
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from antiphon.files.owner_token import CERTIFICATE_FILE
from antiphon.kernel.errors import FileError
from antiphon.kernel.runtime import paths
from antiphon.web.access import KEY_FILE

VALID = datetime.timedelta(days=365)
RENEW_BEFORE = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate on disk.

    `certificate`, `key`: paths of the PEM files; `fingerprint`: SHA-256, for people to compare ("ab:cd:…").
    """

    certificate: Path
    key: Path
    fingerprint: str


def load(folder: Path, addresses: tuple[str, ...], now: datetime.datetime | None = None) -> Certificate:
    """Loads the certificate, and creates a new one if it expires within a day, is damaged or lacks an address.

    A valid private key is reused, so that clients that pinned it still accept the new certificate. Raises FileError:
    the files cannot be written.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    key_path, path = folder / KEY_FILE, folder / CERTIFICATE_FILE
    key = _read_key(key_path)
    certificate = _read_certificate(path) if key is not None else None
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        paths.write_atomic(key_path, pem, 0o600)
    if certificate is None or not _is_certificate_usable(certificate, key, addresses, now):
        certificate = _make(key, addresses, now)
        paths.write_atomic(path, certificate.public_bytes(serialization.Encoding.PEM), 0o600)
    return Certificate(path, key_path, certificate.fingerprint(hashes.SHA256()).hex(":"))


def tls_context(folder: Path, addresses: tuple[str, ...]) -> tuple[ssl.SSLContext, str]:
    """The server's TLS context with our certificate, which names `addresses`, and the certificate's fingerprint.

    Raises FileError: the certificate cannot be written or used.
    """
    certificate = load(folder, addresses)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate.certificate, certificate.key)
    except (OSError, ssl.SSLError) as error:
        raise FileError(f"the certificate {certificate.certificate} cannot be used ({error}); remove it") from None
    return context, certificate.fingerprint


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        if stat.S_IMODE(os.lstat(path).st_mode) & 0o077:
            return None  # others could have read it
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1) else None


def _read_certificate(path: Path) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return None


def _is_certificate_usable(
    certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, addresses: tuple[str, ...], now: datetime.datetime
) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    covered = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    in_time = certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - RENEW_BEFORE
    return in_time and set(addresses) <= covered and certificate.public_key() == key.public_key()


def _make(key: ec.EllipticCurvePrivateKey, addresses: tuple[str, ...], now: datetime.datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Antiphon on this machine")])
    wanted = sorted({"127.0.0.1", "::1", *addresses})
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    names += [x509.IPAddress(ipaddress.ip_address(a)) for a in wanted]
    public = key.public_key()
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
