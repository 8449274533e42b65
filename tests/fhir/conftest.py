"""Properties here have no deadline: a slow machine is not a fault."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("overblik", deadline=None)
settings.load_profile("overblik")
