"""What the overview shows: immutable values that are written as JSON by their names, in camelCase.

Hundreds are made for every look at a record; msgspec makes and writes them in C.
https://jcristharif.com/msgspec/structs.html
"""

from __future__ import annotations

import msgspec


class Shown(msgspec.Struct, frozen=True, rename="camel"):
    """One value that is shown: a field `under_way` is `underWay` in JSON, a datetime an instant."""
