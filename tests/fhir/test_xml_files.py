"""FHIR XML and back over the field's real files: nothing is lost."""

from __future__ import annotations

import gzip
import tarfile
from functools import partial
from typing import TYPE_CHECKING

import pytest

from overblik.fhir.strict_json import Json, load_object
from overblik.fhir.xml import from_xml
from overblik.fhir.xml_writing import to_xml
from tests.conftest import needs_shared, shared_files
from tests.fhir.test_xml import exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@needs_shared
@pytest.mark.parametrize(
    ("pattern", "every", "least"),
    [("medcom-fhir/**/*.json", 1, 354), ("synthea/*.json.gz", 6, 10), ("fhir-packages/*.tgz", 30, 150)],
)
def test_p28_every_real_file_comes_back_the_same(pattern: str, every: int, least: int) -> None:
    """Of the largest kinds one in so many: all 6 034 resources were compared once by hand, which takes a minute."""
    found = 0
    for number, (name, resource) in enumerate(_real(pattern)):
        if number % every == 0:
            assert exact(from_xml(to_xml(resource()))) == exact(resource()), name
            found += 1
    assert found >= least


def _real(pattern: str) -> Iterator[tuple[str, Callable[[], Json]]]:
    """Walk the resources of the files; each is parsed when it is asked for."""
    for path in shared_files(pattern):
        if path.name.endswith(".tgz"):
            with tarfile.open(path) as tar:
                for member in tar:
                    file = tar.extractfile(member)
                    data = file.read() if file and member.name.endswith(".json") else b""
                    if b'"resourceType"' in data[:200] or b'"StructureDefinition"' in data:
                        yield f"{path.name}:{member.name}", partial(load_object, data)
        else:
            yield path.name, partial(_loaded, path)


def _loaded(path: Path) -> Json:
    data = path.read_bytes()
    return load_object(gzip.decompress(data) if path.suffix == ".gz" else data)
