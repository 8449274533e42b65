"""Application logs: JSON lines, without patient data.

Who saw what stands in the table `access_log`, which every statement of the door that discloses writes to;
what is written here is about the machine. Anything that looks like a CPR is struck out all the same, and a fault is
told by its kind and its places in the code, never in its own words: those quote what was being read.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any

import structlog

from overblik.fhir.errors import OverblikError

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from types import TracebackType

MOST_CAUSES = 20
_CPR = re.compile(r"\b\d{6}-?\d{4}\b")


def scrub(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Strike out whatever looks like a CPR in the values of an entry."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _CPR.sub("[cpr]", value)
    return event


def told(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Return an exception and then what it came of: places in the code, kinds, error numbers; no text of theirs."""
    return "\n".join(text for fault in _chain(exc_info[1]) for text in (*_places(fault), _kind(fault)))


def _chain(fault: BaseException | None) -> Iterator[BaseException]:
    """Walk an exception, those that a group holds, and what they came of."""
    left, seen = [fault], set[int]()
    while left and len(seen) < MOST_CAUSES:
        if (one := left.pop(0)) is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            left += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
            left.append(one.__cause__ or (None if one.__suppress_context__ else one.__context__))


def _places(fault: BaseException) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(fault.__traceback__)]


def _kind(fault: BaseException) -> str:
    code = fault.code if isinstance(fault, OverblikError) else None
    numbers = (code, getattr(fault, "sqlstate", None), getattr(fault, "errno", None))
    return " ".join([f"{type(fault).__module__}.{type(fault).__qualname__}", *(str(n) for n in numbers if n)])


def configure_logs(level: int = logging.INFO) -> None:
    """Write JSON lines to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.ExceptionRenderer(told),
            scrub,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
