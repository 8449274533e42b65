"""Keys that we sign with: P-256, derived from the master key, so that every worker has the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

if TYPE_CHECKING:
    from overblik.trust.keys.keyring import Keyring

ALGORITHM = "ES256"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def signing_key(keyring: Keyring, use: str) -> ECKey:
    """Return the key pair of one use; its `kid` is its thumbprint (RFC 7638).

    The number is reduced from twice its length, so that every key is as likely as the next (FIPS 186-5 A.2.1).
    """
    number = int.from_bytes(keyring.key(f"{use}/high") + keyring.key(f"{use}/low"))
    private = ec.derive_private_key(number % (_ORDER - 1) + 1, ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = ECKey.import_key(pem, {"use": "sig", "alg": ALGORITHM})
    key.ensure_kid()
    return key
