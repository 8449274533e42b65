"""Requests of every channel, drawn at random: by whom, for what, found or not, allowed or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

TYPES = ("Patient", "Encounter", "CarePlan", "Observation", "MedicationRequest", "Communication", "Appointment")
NOBODY = "0" * 32


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Mix:
    """What can be asked about: ids by type; `pages` are tabs by caller, who asks those in a browser."""

    ids: dict[str, list[str]]
    callers: tuple[str, ...]
    pages: dict[str, str]

    def draw(self, rng: Random) -> tuple[str, Asked]:
        """Return a caller's label and what they ask."""
        if self.pages and rng.random() < 0.15:
            who = rng.choice(sorted(self.pages))
            return who, Asked("GET", self.pages[who] + self._page(rng, who))
        return rng.choice(self.callers), self._asked(rng)

    def _page(self, rng: Random, who: str) -> str:
        if "citizen" in who:
            return rng.choice(["/", "/log", "/blocks", "/proxies", "/log/file"])
        return rng.choice(["/", "/relations", f"/patient/{self._id(rng, 'Patient')}"])

    def _id(self, rng: Random, kind: str) -> str:
        return rng.choice([*self.ids[kind], NOBODY])

    def _asked(self, rng: Random) -> Asked:
        kind = rng.choice(TYPES)
        own, patient = f"/{kind}/{self._id(rng, kind)}", self._id(rng, "Patient")
        paths = [
            own, own, f"{own}/_history", f"{own}/_history/1", f"{own}/_history/9", f"{own}?asOf=2026-11-21",
            f"/{kind}?_count={rng.randint(1, 9)}", f"/{kind}?patient={patient}",
            f"/{kind}?patient={patient}&_total=accurate",
            f"/{kind}/_history?_count=5", f"/{kind}?_summary=count", f"/{kind}?_id={self._id(rng, kind)}&_include=*",
            f"/Patient?_id={patient}&_revinclude={kind}:*", f"/Patient/{patient}/$everything?_count=20",
            f"/Patient/{patient}/$overview", f"/Patient/{patient}/$overview?asOf=2026-11-21",
            f"/Patient/{patient}/{kind}", f"/?_type=Observation,{kind}&patient={patient}",
            f"/Observation/$lastn?patient={patient}", "/AuditEvent?_count=9", f"/AuditEvent?patient={patient}",
            f"/Patient?name={rng.choice(['a', 'nobody'])}", f"{own}/$meta",
            f"/Observation?_filter=patient re {patient}",
        ]  # fmt: skip
        if rng.random() < 0.1:
            wanted = [
                {"request": {"method": "GET", "url": self._asked_in_bundle(rng)}} for _ in range(rng.randint(1, 4))
            ]
            return Asked("POST", "/fhir", {"resourceType": "Bundle", "type": "batch", "entry": wanted})
        return Asked("HEAD" if rng.random() < 0.03 else "GET", "/fhir" + rng.choice(paths))

    def _asked_in_bundle(self, rng: Random) -> str:
        kind = rng.choice(TYPES)
        return rng.choice([f"{kind}/{self._id(rng, kind)}", f"{kind}?patient={self._id(rng, 'Patient')}"])
