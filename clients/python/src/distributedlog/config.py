"""Options that every client has, and how options are checked.

A wrong value is a :class:`ConfigurationError` that names the option, its value and its bounds. An unknown name is an
:class:`UnknownOptionError`, and never silently ignored.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict, TypeVar

from .errors import ConfigurationError, UnknownOptionError
from .transport.addresses import Address, parse_addresses

__all__ = ["ClientConfig", "ClientOptions", "from_options"]


class ClientOptions(TypedDict, total=False):
    """The options of :class:`ClientConfig`, as keywords."""

    bootstrap_servers: str | Sequence[str]
    client_id: str | None
    api_key: str | None
    ssl_cafile: str | None
    ssl_certfile: str | None
    ssl_keyfile: str | None
    proxy_url: str | None
    connect_timeout_ms: int
    request_timeout_ms: int
    api_timeout_ms: int
    retry_backoff_ms: int
    retry_backoff_max_ms: int


@dataclass(frozen=True)
class ClientConfig:
    """How to reach a broker."""

    #: Addresses of the broker: ``host:port``, or a URL. Several (a list, or with commas) are tried in turn.
    bootstrap_servers: str | Sequence[str] = "localhost:8080"
    #: What the client calls itself; the broker shows it with each consumer.
    client_id: str | None = None
    #: Sent with every request, as ``Authorization: Bearer``.
    api_key: str | None = field(default=None, repr=False)
    #: A file of certificates to trust instead of the system's. Makes ``host:port`` mean https.
    ssl_cafile: str | None = None
    #: The client's own certificate and its key, where the server asks for one.
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    #: A proxy to go through. ``HTTP_PROXY`` and its kin are not looked at.
    proxy_url: str | None = None
    #: How long opening a connection may take.
    connect_timeout_ms: int = 5_000
    #: How long the broker may take for one request, the waiting of a long poll not counted.
    request_timeout_ms: int = 30_000
    #: How long a call goes on trying while the broker can't be reached or asks to come back later.
    api_timeout_ms: int = 30_000
    #: How long to wait before the second attempt. The wait doubles each time, and half of it is drawn at random.
    retry_backoff_ms: int = 100
    retry_backoff_max_ms: int = 2_000

    def __post_init__(self) -> None:
        self.bounded("connect_timeout_ms", 1, 600_000)
        self.bounded("request_timeout_ms", 1, 3_600_000)
        self.bounded("api_timeout_ms", 1, 86_400_000)
        self.bounded("retry_backoff_ms", 0, 600_000)
        self.bounded("retry_backoff_max_ms", 0, 600_000)
        for name in ("client_id", "api_key", "ssl_cafile", "ssl_certfile", "ssl_keyfile", "proxy_url"):
            self.text_or_none(name)
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ConfigurationError("api_key has characters that can't stand in a header")
        if self.ssl_keyfile is not None and self.ssl_certfile is None:
            raise ConfigurationError("ssl_keyfile needs ssl_certfile beside it")
        if not isinstance(self.bootstrap_servers, str):
            object.__setattr__(self, "bootstrap_servers", tuple(self.bootstrap_servers))
        self.addresses()

    def addresses(self) -> tuple[Address, ...]:
        """Where the broker is; at least one address."""
        tls = self.ssl_cafile is not None or self.ssl_certfile is not None
        try:
            return parse_addresses(self.bootstrap_servers, tls=tls)
        except ValueError as error:
            raise ConfigurationError(f"bootstrap_servers: {error}") from None

    def bounded(self, name: str, least: int, most: int) -> None:
        """Refuses an option that is no whole number from ``least`` to ``most``."""
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ConfigurationError(f"{name} is {value!r}, and has to be a whole number from {least} to {most}")

    def flag(self, name: str) -> None:
        """Refuses an option that is neither True nor False."""
        value = getattr(self, name)
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name} is {value!r}, and has to be True or False")

    def text_or_none(self, name: str) -> None:
        """Refuses an option that is neither a text nor None."""
        value = getattr(self, name)
        if value is not None and (not isinstance(value, str) or not value):
            raise ConfigurationError(f"{name} is {value!r}, and has to be a text or None")

    def function_or_none(self, name: str) -> None:
        """Refuses an option that is neither callable nor None."""
        value = getattr(self, name)
        if value is not None and not callable(value):
            raise ConfigurationError(f"{name} is {value!r}, and has to be a function or None")


Config = TypeVar("Config", bound=ClientConfig)


def from_options(kind: type[Config], options: Mapping[str, Any], config: Config | None) -> Config:
    """The configuration that these keywords make, or the one given whole."""
    if config is not None:
        if options:
            raise ConfigurationError(f"give config or {', '.join(options)}, not both")
        if not isinstance(config, kind):
            raise ConfigurationError(f"config is {config!r}, and has to be a {kind.__name__}")
        return config
    known = [field.name for field in fields(kind)]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.55)
            hint = f"; did you mean {near[0]}?" if near else f". There are: {', '.join(sorted(known))}"
            raise UnknownOptionError(f"there is no option {name}{hint}")
    return kind(**options)
