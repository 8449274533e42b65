"""Keyed 64-bit digests: what equality is searched by.

A digest says nothing without the key. Beside each stands a `proof`, another 64 bits of the same
hash, by which the dictionary notices when two words share a digest.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple


class Digest(NamedTuple):
    """A signed 64-bit digest and its proof."""

    value: int
    proof: int


@lru_cache(maxsize=20_000)
def _digest(key: bytes, word: str) -> Digest:
    whole = hashlib.blake2b(word.encode(), digest_size=16, key=key).digest()
    return Digest(int.from_bytes(whole[:8], "big", signed=True), int.from_bytes(whole[8:], "big", signed=True))


def token(key: bytes, resource_type: str, code: str, system: str | None, value: str | None) -> Digest:
    """Return the digest of one way to ask for a token; None means *any*."""
    stated = "*" if system is None else "=" + system
    return _digest(key, f"{resource_type}\x1f{code}\x1f{stated}\x1f{'*' if value is None else '=' + value}")


def tokens(key: bytes, resource_type: str, code: str, system: str, value: str) -> list[Digest]:
    """Return the digests a stored token is found by: `value`, `system|value`, `system|`."""
    if not value:
        return [token(key, resource_type, code, system, None)] if system else []
    found = [token(key, resource_type, code, None, value), token(key, resource_type, code, system, value)]
    return [*found, token(key, resource_type, code, system, None)] if system else found


def pair(key: bytes, resource_type: str, code: str, forms: tuple[tuple[str | None, str | None], ...]) -> Digest:
    """Return the digest of the token parts of a composite, each as (system, value)."""
    word = "\x1e".join(
        f"{'*' if system is None else '=' + system}\x1f{'*' if value is None else '=' + value}"
        for system, value in forms
    )
    return _digest(key, f"{resource_type}\x1f{code}\x1f$\x1f{word}")


def token_digest(key: bytes, resource_type: str, code: str, system: str | None, value: str | None) -> int:
    """Return the signed 64-bit digest of one way to ask for a token; None means *any*."""
    return token(key, resource_type, code, system, value).value


def token_digests(key: bytes, resource_type: str, code: str, system: str, value: str) -> list[int]:
    """Return the digests a stored token is found by."""
    return [digest.value for digest in tokens(key, resource_type, code, system, value)]


def measure(key: bytes, base: str) -> Digest:
    """Return the digest of base units (`fhir/units.py`), which mark a quantity that was converted to them."""
    return _digest(key, f"\x1fmeasure\x1f{base}")


def link(key: bytes, target: str) -> Digest:
    """Return the digest of what is referred to: `Type/id`, or a url."""
    return _digest(key, f"\x1flink\x1f{target}")


def way(key: bytes, resource_type: str, code: str) -> Digest:
    """Return the digest of a reference parameter, whatever it refers to."""
    return _digest(key, f"{resource_type}\x1f{code}\x1flink")


def reference(key: bytes, resource_type: str, code: str, target: str) -> Digest:
    """Return the digest a reference is found by: `way` and `link` in one, by exclusive or.

    PostgreSQL has that operator too. So a statement follows references without the key: from the
    `link` of what is referred to, which its row has, to the token of what refers to it, and back.
    """
    one, other = way(key, resource_type, code), link(key, target)
    return Digest(one.value ^ other.value, one.proof ^ other.proof)
