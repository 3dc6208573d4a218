"""Where a service is, and what may stand in a header."""

import ipaddress
from urllib.parse import urlsplit

import httpx

from app.domain.errors import FieldError, SpecError, UsageError


def checked(url: str) -> str:
    """The URL of a service, as it is given.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and httpx.URL(url).host and parts.port != 0
    except (ValueError, httpx.InvalidURL):
        good = False
    if not good:
        raise UsageError(
            f"TRAINWATT_URL: expected a URL such as http://127.0.0.1:8000, received {url!r}"
        )
    return url


def bearer(api_key: str | None) -> dict[str, str]:
    """The header that carries a key; none without one.

    Raises:
        UsageError: the key cannot stand in a header.
    """
    if not api_key:
        return {}
    if not (api_key.isascii() and api_key.isprintable()):
        raise UsageError(
            "TRAINWATT_API_KEY: expected printable ASCII characters on one line, received others"
        )
    return {"Authorization": f"Bearer {api_key}"}


def key_header(idempotency_key: str | None) -> dict[str, str]:
    """The header of a submission with a key.

    Raises:
        SpecError: the key cannot stand in a header.
    """
    if idempotency_key is None:
        return {}
    if not (idempotency_key.isascii() and idempotency_key.isprintable()):
        expected = "1 to 255 printable ASCII characters"
        raise SpecError(
            FieldError(field="Idempotency-Key", expected=expected, received=idempotency_key)
        )
    return {"Idempotency-Key": idempotency_key}


def is_loopback(url: str) -> bool:
    """Whether no proxy may stand between us and ourselves."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
