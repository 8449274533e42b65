"""Application logs: JSON lines, without patient data.

Who saw what stands in the table `access_log`, which every statement of the door that discloses writes to;
what is written here is about the machine. Anything that looks like a CPR is struck out all the same.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_CPR = re.compile(r"\b\d{6}-?\d{4}\b")


def scrub(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Strike out whatever looks like a CPR in the values of an entry."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _CPR.sub("[cpr]", value)
    return event


def configure_logs(level: int = logging.INFO) -> None:
    """Write JSON lines to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            scrub,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
