"""Sources as they deliver: over HTTP, each with its own token."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from overblik.demo.delivery import PATHS
from overblik.fhir.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from overblik.demo.delivery import Delivery


class Sources:
    """Posts deliveries to a server; `token` gives a source's token by (slug, name)."""

    def __init__(self, address: str, token: Callable[[str, str], str]) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=30)
        self._token = token
        self._tokens: dict[str, str] = {}

    async def post(self, delivery: Delivery) -> None:
        """Hand one delivery over; raise where the server does not take it."""
        path, media = PATHS[delivery.kind]
        source = delivery.source
        if source.slug not in self._tokens:
            self._tokens[source.slug] = self._token(source.slug, source.name)
        answer = self.send(path, media, delivery.body, self._tokens[source.slug])
        problem = refusal(answer)
        if problem:
            raise Unavailable("demo-delivery", f"{delivery.about} from {source.name} was not taken: {problem}")

    def send(self, path: str, media: str, body: bytes, token: str) -> bytes:
        """Post bytes and return the answer's bytes; raise for any error status."""
        headers = {"Content-Type": media, "Authorization": f"Bearer {token}", "Accept": "application/fhir+json"}
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise Unavailable("demo-delivery", f"POST {path} gave {response.status}: {answer[:300].decode()}")
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def refusal(answer: bytes) -> str:
    """Return why an acknowledgement is not `ok`, "" where it is or where the answer is none."""
    bundle = json.loads(answer)
    resources = [entry.get("resource", {}) for entry in bundle.get("entry", [])]
    codes = [r["response"]["code"] for r in resources if r.get("resourceType") == "MessageHeader"]
    if not codes or codes[0] == "ok":
        return ""
    texts = [i["details"]["text"] for r in resources if r.get("resourceType") == "OperationOutcome" for i in r["issue"]]
    return "; ".join(texts) or str(codes[0])
