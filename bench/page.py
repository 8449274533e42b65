"""The web page of the overview, as citizens' browsers ask for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx

from bench.own import links
from bench.population import cpr_of
from bench.wrk import Ask

if TYPE_CHECKING:
    from bench.target import Target

CITIZENS = 16
_STATIC = re.compile(r'(?:href|src)="(/static/[^"]+)"')


async def citizens(target: Target) -> tuple[list[Ask], int]:
    """Sign citizens in; return what their browsers ask for, and the bytes of a first view with all it loads."""
    if target.folder is None:
        return [], 0
    address = target.base.removesuffix("/fhir")
    asks, first = [], 0
    async with httpx.AsyncClient(base_url=address, follow_redirects=False, timeout=60) as http:
        for code in await links(target.folder, [cpr_of(number) for number in range(CITIZENS)]):
            http.cookies.clear()
            into = await http.get(f"/sign-in?hint={code}", follow_redirects=True)
            slot = into.url.path
            cookie = ";".join(f"{c.name}={c.value}" for c in http.cookies.jar if c.path == slot)
            asks.append(Ask("GET", slot, cookie=cookie))
        view = await http.get(asks[0].path, headers={"Cookie": asks[0].cookie})
        view.raise_for_status()
        first = view.num_bytes_downloaded
        for name in dict.fromkeys(_STATIC.findall(view.text)):
            first += (await http.get(name)).num_bytes_downloaded
    return asks, first
