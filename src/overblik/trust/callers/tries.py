"""Tries that fail are counted, and too many are 429: of credentials by network address, of look-ups by person (A28).

Nothing that holds is refused for what else came from its address: whoever shares it with somebody who tries is served,
and there is nothing to guess, for no credential here has fewer than 128 random bits. What fails is answered alike
whether or not there is such a client, code or token. A look-up of a person is refused before anything is looked up once
there were too many that found nobody: whoever goes through numbers must not tell those that are there by the answer.

Each process counts by itself, in bounded memory; a window begins with the first failure and ends after WINDOW.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

import structlog

from overblik.fhir.errors import NotFound, TooMany

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from overblik.clock import Clock

WINDOW = timedelta(minutes=10)
MOST_KEYS = 20_000
"""Who is remembered at once; those who failed longest ago are forgotten first."""
MOST_HOPS = 20
Networks = tuple[IPv4Network | IPv6Network, ...]
log = structlog.get_logger()


class Tries:
    """Counts failures by key; `most` within a window are answered, 0 is no limit."""

    def __init__(self, clock: Clock, most: int, keys: int = MOST_KEYS) -> None:
        self._clock = clock
        self._most = most
        self._keys = keys
        self._failed: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def require(self, key: str) -> None:
        """Refuse where too many have failed."""
        began, count = self._failed.get(key, (None, 0))
        if began is None or not self._most or count < self._most:
            return
        left = began + WINDOW - self._clock.now()
        if timedelta(0) < left <= WINDOW:
            text = "Too many tries have failed; wait as long as Retry-After says, and try then."
            raise TooMany("tries-many", text, after=int(left.total_seconds()) + 1)
        del self._failed[key]

    def failed(self, key: str) -> None:
        """Count a failure."""
        now = self._clock.now()
        began, count = self._failed.pop(key, (now, 0))
        if not timedelta(0) <= now - began < WINDOW:
            began, count = now, 0
        self._failed[key] = began, count + 1
        if count + 1 == self._most:
            log.warning("tries.many", kind=key.partition(" ")[0])
        while len(self._failed) > self._keys:
            self._failed.popitem(last=False)

    @contextmanager
    def looking_up(self, key: str) -> Iterator[None]:
        """Refuse a look-up where too many found nobody; count this one where it finds nobody."""
        self.require(key)
        try:
            yield
        except NotFound:
            self.failed(key)
            raise


class Credentials:
    """Counts credentials that fail, by the address they came from."""

    def __init__(self, tries: Tries, proxies: Networks) -> None:
        self._tries = tries
        self._proxies = proxies

    def refused(self, peer: tuple[str, int] | None, headers: Mapping[str, str]) -> None:
        """Count a credential that did not hold; TooMany in place of its answer where there were too many.

        `peer` is the connection's other end; names of `headers` are in small letters.
        """
        key = address_of(peer[0] if peer else "", headers, self._proxies)
        self._tries.require(key)
        self._tries.failed(key)


def networks(text: str) -> Networks:
    """Return the addresses and networks of a list with commas; ValueError for anything else."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def address_of(peer: str, headers: Mapping[str, str], proxies: Networks) -> str:
    """Return the key of the address that a request came from: of IPv6 the network (/64) that one household has.

    X-Forwarded-For is believed as far as it was written by `proxies`, from the last hop back.
    """
    hops = [hop.strip() for hop in headers.get("x-forwarded-for", "").split(",")[-MOST_HOPS:]]
    while proxies and hops and hops[-1] and _among(peer, proxies):
        peer = hops.pop()
    return f"address {_network(peer)}"


def _among(text: str, proxies: Networks) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in proxies)


def _network(text: str) -> str:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
    return str(address)
