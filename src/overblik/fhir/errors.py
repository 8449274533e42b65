"""Errors, as a tree; each class carries one HTTP status and each error one stable code.

    OverblikError
    ├── Malformed            400  the request cannot be read
    ├── Unauthenticated      401  no credential, or none that holds
    ├── Forbidden            403  this caller may never do this, whatever the data
    ├── NotFound             404  absent, or not for this caller: the same answer
    ├── NotAllowed           405  no such interaction on this path
    ├── NotAcceptable        406  a format that is not written here
    ├── TooSlow              408  the body did not come in time
    ├── Conflict             409  the request contradicts what is stored
    ├── Gone                 410  deleted, and the caller could see it before
    ├── PreconditionFailed   412  If-Match or a condition did not hold
    ├── TooLarge             413  the body is over the limit
    ├── Unsupported          415  a format that is not read here
    ├── Unprocessable        422  readable, but breaks a rule of FHIR or of Overblik
    ├── TooMany              429  a queue is full; Retry-After says when
    ├── Damaged              500  what is stored is not what was written
    ├── Unavailable          503  it cannot be decided, logged or stored now
    └── Full                 507  there is no room to store it; Retry-After says when to try again

The codes are listed in docs/errors.md, which a test keeps complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of an OperationOutcome (https://hl7.org/fhir/R4/operationoutcome.html).

    `code` is Overblik's stable code, `kind` FHIR's IssueType, `expression` a FHIRPath to the place.
    """

    code: str
    text: str
    kind: str = "invalid"
    expression: str = ""
    severity: str = "error"


class OverblikError(Exception):
    """Base of every expected error: a status, and one or more issues that say what to do."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "exception"

    def __init__(self, code: str, text: str, *, expression: str = "", kind: str = "") -> None:
        super().__init__(f"{code}: {text}")
        self.issues: tuple[Issue, ...] = (Issue(code, text, kind or self.kind, expression),)

    @classmethod
    def of(cls, issues: list[Issue]) -> OverblikError:
        """Make one error of several issues; the first gives the message."""
        error = cls(issues[0].code, issues[0].text)
        error.issues = tuple(issues)
        return error

    @property
    def code(self) -> str:
        """The stable code of the first issue."""
        return self.issues[0].code

    @property
    def text(self) -> str:
        """The sentence of the first issue."""
        return self.issues[0].text


class Malformed(OverblikError):
    """The request cannot be read."""

    status = 400
    kind = "structure"


class Unauthenticated(OverblikError):
    """There is no credential, or none that holds; the answer is the same for every cause."""

    status = 401
    kind = "login"

    def __init__(self, *, genuine: bool = False) -> None:
        """Make it; `genuine` is one that was given here once and has ended, which nobody guesses."""
        self.genuine = genuine
        super().__init__("sign-in-needed", "Sign in, or send a valid access token.")


class Forbidden(OverblikError):
    """This caller may never do this, whatever the data; decided before any look-up."""

    status = 403
    kind = "forbidden"


class NotFound(OverblikError):
    """Absent, or not for this caller. One text for both, and no echo of what was asked for."""

    status = 404
    kind = "not-found"

    def __init__(self) -> None:
        super().__init__("not-found", "There is nothing here that you can see.")


class NotAllowed(OverblikError):
    """The path exists, the interaction does not."""

    status = 405
    kind = "not-supported"


class NotAcceptable(OverblikError):
    """A format that is not written here."""

    status = 406
    kind = "not-supported"


class TooSlow(OverblikError):
    """The body did not come in time."""

    status = 408
    kind = "timeout"


class Conflict(OverblikError):
    """The request contradicts what is stored."""

    status = 409
    kind = "conflict"


class Gone(OverblikError):
    """Deleted, and the caller could have seen it."""

    status = 410
    kind = "deleted"


class PreconditionFailed(OverblikError):
    """If-Match or another condition did not hold."""

    status = 412
    kind = "conflict"


class TooLarge(OverblikError):
    """The body is over the limit."""

    status = 413
    kind = "too-long"


class Unsupported(OverblikError):
    """A format that is not read here."""

    status = 415
    kind = "not-supported"


class Unprocessable(OverblikError):
    """Readable, but it breaks a rule of FHIR or of Overblik."""

    status = 422
    kind = "processing"


class TooMany(OverblikError):
    """A queue is full, or too much was tried; `after` is how many seconds to wait."""

    status = 429
    kind = "throttled"

    def __init__(self, code: str, text: str, *, after: int = 1) -> None:
        super().__init__(code, text)
        self.after = after


class Damaged(OverblikError):
    """What is stored is not what was written; nothing of it is shown."""

    status = 500


class Unavailable(OverblikError):
    """It cannot be decided, logged or stored now; nothing was disclosed and nothing changed."""

    status = 503
    kind = "transient"


class Full(OverblikError):
    """There is no room to store it; nothing changed."""

    status = 507
    kind = "no-store"
