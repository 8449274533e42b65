"""What must end before a worker can: it waits for its answers, and the stream of an open page has no end of its own."""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def when_asked_to_stop(tell: Callable[[], None]) -> Iterator[None]:
    """Have `tell` called in the event loop as soon as this process is asked to stop, beside what the server does then.

    The loop learns of a signal by a file descriptor, whoever handles it, so its own handlers go on working
    (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {asked: signal.getsignal(asked) for asked in (signal.SIGTERM, signal.SIGINT)}

    def handle(number: int, frame: Any) -> None:
        loop.call_soon_threadsafe(tell)
        if callable(own := before[signal.Signals(number)]):
            own(number, frame)

    for asked in before:
        signal.signal(asked, handle)
    try:
        yield
    finally:
        for asked, own in before.items():
            signal.signal(asked, own)
