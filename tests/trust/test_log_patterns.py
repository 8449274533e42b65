"""U23: an event follows the patterns of IHE BALP that it names, and names the one it follows (tests/trust/balp.py)."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from overblik.fhir.structure import check
from overblik.trust.log.events import KINDS, audit_event
from tests.conftest import NOW
from tests.trust.balp import PATTERNS, PROFILE, broken, claimed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLERS: dict[str, dict[str, Any]] = {
    "professional": {"actor_kind": "professional", "actor": "TEST1", "actor_role": "læge", "purpose": "TREAT",
                     "org": "99900001007", "org_name": "Afdelingen"},
    "a withheld name": {"actor_kind": "professional", "actor": "urn:uuid:0e4fe4d2-3d0e-4bc4-9c9c-3f6d2ab3f0a1",
                        "actor_name": "", "org": "99900001007", "purpose": "BTG", "reason": "Bevidstløs"},
    "citizen": {"actor_kind": "citizen", "actor": "2512489996", "purpose": "PATRQT"},
    "proxy": {"actor_kind": "proxy", "actor": "2512489997", "purpose": "FAMRQT", "on_behalf": "2512489996"},
    "source": {"actor_kind": "source", "actor": "gateway", "purpose": "TREAT"},
    "system": {"actor_kind": "system", "actor": "system", "purpose": "HSYSADMIN", "channel": "background"},
}  # fmt: skip


def entry(action: str, caller: str = "professional", **more: Any) -> Any:
    """Return a row as `read_events` gives it."""
    usual = {
        "lid": UUID(int=7), "at": NOW, "request": UUID(int=8), "channel": "api", "action": action, "outcome": "permit",
        "rule": "own delivery", "actor_name": "Test Person", "actor_role": "", "org": "", "org_name": "",
        "on_behalf": "", "reason": "", "query": "Observation?code=X", "patient": "gateway.p",
        "data": "Observation/gateway.o" if KINDS[action].single else None, "version": 1,
    }  # fmt: skip
    return SimpleNamespace(**usual | CALLERS[caller] | more)


def event(action: str, caller: str = "professional", **more: Any) -> dict[str, Any]:
    return dict(audit_event(entry(action, caller, **more), "https://overblik.example/fhir"))


def every() -> Iterator[tuple[dict[str, Any], str, dict[str, Any]]]:
    """Give an event of each action by each caller: permitted and refused, of what is seen and of what is not."""
    seen: list[dict[str, Any]] = [
        {}, {"query": ""}, {"data": None, "version": None}, {"patient": None}, {"outcome": "refuse", "rule": "none"}
    ]  # fmt: skip
    for action, caller, more in product(KINDS, CALLERS, seen):
        yield event(action, caller, **more), action, more


def test_u23_every_kind_of_entry_follows_the_pattern_that_it_names() -> None:
    named = dict.fromkeys(("", *PATTERNS), 0)
    for told, action, more in every():
        kind = KINDS[action]
        unseen = more.get("data", "") is None if kind.single else more.get("query") == ""
        names = kind.pattern if more.get("outcome") != "refuse" and not unseen else ""
        assert (broken(told), check(told)) == ([], []), (action, more)
        assert claimed(told) == ([names] if names else []), (action, more)
        named[names] += 1
    assert all(named.values()), named


CHANGES: list[tuple[str, Callable[[dict[str, Any]], Any], str]] = [
    ("read", lambda e: e["type"].update(code="other"), "type"),
    ("read", lambda e: e["subtype"][0].update(code="search"), "subtype"),
    ("read", lambda e: e["subtype"].append(e["subtype"][0] | {"code": "vread"}), "subtype"),
    ("read", lambda e: e["subtype"][0].update(system="urn:x"), "subtype"),
    ("read", lambda e: e.update(action="E"), "action"),
    ("read", lambda e: e.pop("recorded"), "recorded"),
    ("read", lambda e: e.update(outcome="4"), "outcome"),
    ("read", lambda e: e["agent"][0].pop("network"), "client"),
    ("read", lambda e: e["agent"][0].pop("who"), "client"),
    ("read", lambda e: e["agent"][0].update(media=e["type"]), "client"),
    ("read", lambda e: e["agent"].pop(0), "client"),
    ("read", lambda e: e["agent"][1].pop("network"), "server"),
    ("read", lambda e: e["agent"].append(e["agent"][1]), "server"),
    ("create", lambda e: e["agent"].pop(1), "server"),
    ("delete", lambda e: e["agent"][1]["type"]["coding"][0].update(code="x"), "server"),
    ("read", lambda e: e["agent"][2].update(requestor=False), "user"),
    ("search", lambda e: e["agent"][2].pop("who"), "user"),
    ("update", lambda e: e["agent"][2].update(network=e["agent"][1]["network"]), "user"),
    ("create", lambda e: e["agent"].append(e["agent"][2]), "user"),
    ("read", lambda e: e["entity"].pop(0), "patient"),
    ("read", lambda e: e["entity"][0].pop("role"), "patient"),
    ("delete", lambda e: e["entity"][0].pop("what"), "patient"),
    ("search", lambda e: e["entity"][0]["what"].update(reference="Group/1"), "patient"),
    ("create", lambda e: e["entity"].append(e["entity"][0]), "patient"),
    ("read", lambda e: e["entity"].pop(1), "data"),
    ("read", lambda e: e["entity"][1].pop("what"), "data"),
    ("update", lambda e: e["entity"][1].pop("role"), "data"),
    ("delete", lambda e: e["entity"][1]["role"].update(code="24"), "data"),
    ("create", lambda e: e["entity"].append(e["entity"][1]), "data"),
    ("search", lambda e: e["entity"][1].pop("query"), "query"),
    ("search", lambda e: e["entity"].pop(1), "query"),
    ("search", lambda e: e["entity"][1].update(what=e["entity"][0]["what"]), "query"),
    ("search", lambda e: e["entity"][1].update(detail=[{"type": "x", "valueString": "y"}]), "query"),
    ("read", lambda e: e["entity"][2]["what"].pop("identifier"), "transaction"),
    ("read", lambda e: e["entity"].append(e["entity"][2]), "transaction"),
]  # fmt: skip


@pytest.mark.parametrize(("action", "change", "where"), CHANGES)
def test_an_event_that_is_changed_follows_its_pattern_no_more(
    action: str, change: Callable[[dict[str, Any]], Any], where: str
) -> None:
    told = deepcopy(event(action))
    assert claimed(told) == [KINDS[action].pattern]
    change(told)
    assert where in broken(told)


def test_what_is_no_pattern_of_ours_is_not_named() -> None:
    names = {url for told, *_ in every() for url in told["meta"].get("profile", [])}
    assert names == {f"{PROFILE}{name}" for name in PATTERNS}
