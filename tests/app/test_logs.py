"""What the server's own log says of a fault: what kind, where, and nothing that was being read (O6)."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import structlog

from overblik.app.logs import configure_logs
from overblik.fhir.errors import Unprocessable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import World

SAID = "canary7d1e0c5b9a"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return what reads the lines that were logged since it was last asked."""
    before, kept = structlog.get_config(), io.StringIO()
    monkeypatch.setattr("sys.stderr", kept)
    configure_logs()

    def lines() -> list[dict[str, Any]]:
        text = kept.getvalue()
        kept.seek(0)
        kept.truncate()
        return [json.loads(line) for line in text.splitlines()]

    yield lines
    structlog.configure(**before)


def fails(fault: BaseException, cause: BaseException | None = None) -> None:
    raise fault from cause


def numbered() -> BaseException:
    error = psycopg.errors.InvalidTextRepresentation(f'invalid input: "{SAID}"')
    assert error.sqlstate == "22P02"
    return error


FAULTS: list[tuple[BaseException, list[str]]] = [
    (KeyError(SAID), ["builtins.KeyError"]),
    (numbered(), ["psycopg.errors.InvalidTextRepresentation 22P02"]),
    (OSError(28, "No space left", SAID), ["builtins.OSError 28"]),
    (Unprocessable("wrong-value", f"{SAID} is no date."), ["overblik.fhir.errors.Unprocessable wrong-value"]),
    (ExceptionGroup(SAID, [ValueError(SAID), TypeError(SAID)]), ["builtins.ExceptionGroup", "ValueError", "TypeError"]),
]


@pytest.mark.parametrize(("fault", "kinds"), FAULTS, ids=[type(f).__name__ for f, _ in FAULTS])
def test_o6_a_fault_is_told_by_its_kind_and_place_and_not_in_its_words(
    written: Any, fault: BaseException, kinds: list[str]
) -> None:
    for cause in (None, RuntimeError(SAID)):
        try:
            fails(fault, cause)
        except BaseException:  # noqa: BLE001 - of every kind
            structlog.get_logger().exception("a.fault")
        (line,) = written()
        assert SAID not in json.dumps(line)
        assert all(kind in line["exception"] for kind in kinds), line
        assert ("builtins.RuntimeError" in line["exception"]) is (cause is not None)
        assert "test_logs.py:" in line["exception"]
        assert " fails" in line["exception"]


async def test_o6_a_fault_while_a_record_is_read_tells_nothing_of_it(
    world: World, written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError(SAID)

    monkeypatch.setattr("overblik.trust.door.access.Door.read", broken)
    answer = await world.get("/Patient/x", world.system())
    assert answer.status_code == 500
    assert SAID not in answer.text
    told = [line for line in written() if line["event"] == "api.fault"]
    assert "builtins.RuntimeError" in told[0]["exception"]
    assert SAID not in json.dumps(told)


def test_a_chain_without_an_end_has_one(written: Any) -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__context__, second.__context__ = second, first
    try:
        fails(first, second)
    except ValueError:
        structlog.get_logger().exception("a.fault")
    assert written()[0]["exception"].count("builtins.ValueError") == 2
