"""A browser without JavaScript: signs in at the test provider, keeps cookies, posts forms as they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lxml import html

from overblik.demo.cast import GP, INGER, NURSE, SURGEON
from overblik.demo.population import residents
from overblik.fhir.identifiers import CPR
from tests.conftest import NOW
from tests.journeys.tell import set_the_stage, tell

if TYPE_CHECKING:
    import httpx

    from tests.conftest import World

CITIZEN = {"kind": "citizen", "sub": INGER.cpr, "name": INGER.name}
FOUR: dict[str, dict[str, Any]] = {
    "citizen": CITIZEN,
    "nurse": NURSE.claims(),
    "gp": GP.claims(),
    "surgeon": SURGEON.claims(),
}


async def told(world: World, last: str = "discharge", after: str = "") -> None:
    """Tell the main person's story as far as a step, or on from the step it stands after; the clock stands there."""
    if not after:
        await set_the_stage(world)
    steps = residents(1, NOW.date())[0].story.steps()
    codes = [step.code for step in steps]
    begun = codes.index(after) + 1 if after else 0
    for step in steps[begun : codes.index(last) + 1]:
        await tell(world, step.deliveries)
        world.clock.set(step.until)


async def known(world: World) -> str:
    """Set the stage and write nothing but that the main person exists; return the patient's id."""
    await set_the_stage(world)
    identifier = {"system": CPR, "value": INGER.cpr}
    name = {"family": INGER.family, "given": INGER.given.split()}
    created = await world.post(
        "/Patient", world.source(), {"resourceType": "Patient", "identifier": [identifier], "name": [name]}
    )
    return str(created.json()["id"])


async def sign_in(world: World, claims: dict[str, Any]) -> Tab:
    """Sign a test person in, in the world's one browser, and return where that leads."""
    answer = await arrive(world, claims)
    assert answer.status_code == 303, answer.text
    return Tab(world, answer.headers["location"].removesuffix("/"))


async def arrive(world: World, claims: dict[str, Any]) -> httpx.Response:
    """Go to the provider and back as a test person; return the answer to the last step."""
    assert world.run.provider is not None
    out = await world.http.get("/sign-in", params={"hint": await world.run.provider.add(claims)})
    back = await world.http.get(out.headers["location"])
    return await world.http.get(back.headers["location"])


@dataclass(frozen=True)
class Tab:
    """One slot of the browser."""

    world: World
    base: str

    async def get(self, path: str = "/", **kwargs: Any) -> httpx.Response:
        """Open a page of this slot."""
        return await self.world.http.get(self.base + path, **kwargs)

    async def post(self, path: str, fields: dict[str, str], **kwargs: Any) -> httpx.Response:
        """Send a form with this slot's own form token, and follow where it leads."""
        data = {"form_token": await self.token(), **fields}
        return await self.world.http.post(self.base + path, data=data, follow_redirects=True, **kwargs)

    async def token(self) -> str:
        """Return the token of this slot's forms."""
        return str(document(await self.get()).xpath("string(//input[@name='form_token']/@value)"))

    async def open(self, cpr: str) -> httpx.Response:
        """Look a patient up by CPR, as the form on the worklist does."""
        return await self.post("/look-up", {"cpr": cpr})


def document(page: httpx.Response) -> Any:
    """Return a page's tree."""
    return html.document_fromstring(page.text)


def section(page: httpx.Response, name: str) -> str:
    """Return the text of a section, "" where the page has none."""
    found = document(page).xpath(f"//section[@id='{name}']")
    return words(found[0]) if found else ""


def words(element: Any) -> str:
    """Return an element's text, its white space in single blanks."""
    return " ".join(element.text_content().split())
