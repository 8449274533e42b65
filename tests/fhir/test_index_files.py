"""Every search parameter of the standard over every real file: extracted without a fault, found again."""

from __future__ import annotations

import gzip
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from overblik.fhir.definitions import r4
from overblik.fhir.fhirpath import Item, branches, compile_path
from overblik.fhir.index import index_row
from overblik.fhir.index.extract import extractors
from overblik.fhir.index.parameters import kept_as, number_of, parameters
from overblik.fhir.strict_json import loads
from tests.conftest import needs_shared, shared_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from overblik.fhir.strict_json import Json

KEY = b"a key of tests"


def resources(value: Any) -> Iterator[Json]:
    """Walk the resources of a file: itself, and those of its entries."""
    if isinstance(value, dict) and value.get("resourceType") in r4().resource_types:
        yield value
        for entry in value.get("entry", ()):
            if isinstance(entry, dict):
                yield from resources(entry.get("resource"))


def synthea() -> Iterator[Json]:
    for file in shared_files("synthea/*.json.gz")[::4]:
        yield from resources(loads(gzip.decompress(file.read_bytes())))


def medcom() -> Iterator[Json]:
    for file in shared_files("medcom-fhir/**/*.json"):
        yield from resources(loads(file.read_bytes()))


def packages() -> Iterator[Json]:
    """Every ninth file of the packages: definitions, and the examples some carry."""
    for file in shared_files("fhir-packages/*.tgz"):
        with tarfile.open(file) as tar:
            members = [m for m in tar.getmembers() if m.isfile() and m.name.endswith(".json") and m.size < 500_000]
            for member in members[::9]:
                content = tar.extractfile(member)
                assert content is not None
                yield from resources(loads(content.read()))


@needs_shared
@pytest.mark.parametrize("files", [synthea, medcom, packages])
def test_every_real_resource_has_an_index_row(files: Any) -> None:
    count = 0
    for resource in files():
        row = index_row(resource, KEY)
        assert row.tokens
        assert all(narrow.lo for narrow in row.strings)
        assert all(narrow.lo < narrow.hi for narrow in row.dates)
        assert all(narrow.lo <= narrow.hi for narrow in row.numbers)
        count += 1
    assert count > 100


@needs_shared
@pytest.mark.parametrize("files", [medcom, packages])
def test_what_is_left_out_for_a_type_or_a_key_would_have_found_nothing(files: Any) -> None:
    """The union's other types are dropped and most expressions never run: the whole expression finds no more."""
    for number, resource in enumerate(files()):
        if number % 5:
            continue
        kind = str(resource["resourceType"])
        items = [Item(kind, resource)]
        for param in parameters(kind).values():
            whole = compile_path(param.expression)(items)
            taken = [b for b in branches(param.expression, kind) if not b.keys or b.keys & resource.keys()]
            found = [item for branch in taken for item in branch.run(items)]
            assert set(map(repr, found)) == set(map(repr, whole)), param.code


MISNAMED = {"part-agree"}
"""A parameter of Patient whose published expression begins with DocumentReference: it finds nothing."""


@pytest.mark.parametrize("kind", sorted(r4().resource_types))
def test_every_parameter_of_a_type_has_its_closures(kind: str) -> None:
    known = extractors(kind)
    compiled = {e.code for e in known.always} | {e.code for group in known.by_key.values() for e in group}
    wanted = {c for c in parameters(kind) if kept_as(kind, c) == (c,)} - {"_id", "_lastUpdated", *MISNAMED}
    assert compiled == wanted
    assert not {e.code for e in known.always} - {"deceased"}, "what no key leads to is run for every resource"


def test_no_two_parameters_share_a_number() -> None:
    numbers = [
        number_of(kind, code + "$" * place)
        for kind in r4().resource_types
        for code in parameters(kind)
        for place in (0, 1)
    ]
    assert len(numbers) == len(set(numbers))
    assert all(0 <= number < 2**31 for number in numbers)
