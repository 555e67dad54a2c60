"""Where a broker is: what stands in ``bootstrap_servers``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

__all__ = ["Address", "parse_addresses"]

#: Where a broker listens unless it is told otherwise.
DEFAULT_PORT = 8080


class Address(NamedTuple):
    """A broker's address. ``path`` is what a proxy in front of it wants before ``/api``; mostly empty."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def parse_addresses(servers: str | Sequence[str], *, tls: bool) -> tuple[Address, ...]:
    """The addresses in a text (with commas between them) or a list of texts.

    One without a scheme is https if ``tls``, and else http. Raises ValueError for what is no address.
    """
    texts = servers.split(",") if isinstance(servers, str) else list(servers)
    addresses = tuple(_parse(text, tls) for text in texts)
    if not addresses:
        raise ValueError("no address is given")
    return addresses


def _parse(text: object, tls: bool) -> Address:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{text!r} is no address; one looks like 'localhost:8080'")
    text = text.strip()
    named = "://" in text
    url = urlsplit(text if named else f"{'https' if tls else 'http'}://{text}")
    try:
        port = url.port
    except ValueError:
        raise ValueError(f"{text!r} has a port that is none") from None
    if url.scheme not in ("http", "https"):
        raise ValueError(f"{text!r} has to begin with http:// or https://, or with nothing of that kind")
    if not url.hostname or url.query or url.fragment or url.username is not None:
        raise ValueError(f"{text!r} is no address; one looks like 'localhost:8080'")
    if port is None:
        port = {"http": 80, "https": 443}[url.scheme] if named else DEFAULT_PORT
    return Address(url.scheme, url.hostname, port, url.path.rstrip("/"))
