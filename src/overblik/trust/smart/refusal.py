"""What an authorization server answers when it refuses (RFC 6749 § 4.1.2.1 and § 5.2)."""

from __future__ import annotations


class Refusal(Exception):
    """An OAuth error: its code, and a sentence for the developer of the client.

    `invalid_client` is 401, all else 400. With `redirect` it goes to the client through the browser.
    """

    def __init__(self, error: str, text: str) -> None:
        super().__init__(f"{error}: {text}")
        self.error = error
        self.text = text

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return 401 if self.error == "invalid_client" else 400

    def body(self) -> dict[str, str]:
        """Return the answer's JSON."""
        return {"error": self.error, "error_description": self.text}
