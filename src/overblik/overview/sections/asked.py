"""What am I asked to do: for one unit, from plans, messages and changes of medication."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from overblik.shown import Shown

if TYPE_CHECKING:
    from datetime import datetime

    from overblik.courses.rehabilitation import Course
    from overblik.overview.context import Context
    from overblik.overview.sections.messages import Thread
    from overblik.overview.sections.plans import Plan

OPEN_FOR = timedelta(days=90)


class Asked(Shown, frozen=True):
    """One thing a unit is asked to do. `kind` is plan or message."""

    kind: str
    text: str
    by: str
    written: datetime | None
    due: datetime | None
    overdue: bool
    reference: str
    raw: str


def asked(ctx: Context, plans: list[Plan], threads: list[Thread], courses: list[Course]) -> list[Asked]:
    """Return what the caller's unit (or a unit above it) is asked to do, what is due first.

    A course that has ended asks nothing more: nobody writes a hospital's plan off item by item.
    """
    mine = set(ctx.viewer.orgs)
    ended = {reference for course in courses if course.ended for reference in course.references}
    items = []
    for plan in plans:
        if plan.id in ended:
            continue
        for activity in plan.activities:
            open_ = activity.status not in {"completed", "cancelled", "stopped"} and plan.status == "active"
            if activity.performer_token in mine and open_:
                due = activity.end or activity.start
                late = due is not None and due < ctx.now
                items.append(
                    Asked("plan", activity.text, plan.author, plan.written, due, late, plan.id, plan.origin.raw)
                )
    for thread in threads:
        recent = ctx.now - thread.last <= OPEN_FOR
        if thread.awaits_token in mine and recent and thread.parts:
            last = thread.parts[-1]
            text = last.text or (last.attachment.title if last.attachment else "")
            raw = thread.origins[-1].raw
            items.append(Asked("message", text, last.organisation, thread.last, None, False, thread.id, raw))
    return sorted(items, key=lambda a: (a.due.timestamp() if a.due else float("inf"), a.kind, a.reference))
