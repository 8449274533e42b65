"""Resource to index row: what a search can find it by.

    parameters.py   which parameters there are, and under which name each is kept
    digests.py      keyed 64-bit digests of tokens, references and units
    values.py       dates, numbers and folded text
    extract.py      the closures of one type, evaluated for the keys a resource has
    row.py          the row itself
    subjects.py     the references by which a resource is about patients

`INDEX_VERSION` changes whenever the same resource would give another row; `overblik reindex` then
makes stored rows anew, while the server runs.
"""

from overblik.fhir.index.digests import token_digest, token_digests
from overblik.fhir.index.extract import linked
from overblik.fhir.index.parameters import parameter
from overblik.fhir.index.row import IndexRow, Narrow, index_row
from overblik.fhir.index.subjects import patient_references
from overblik.fhir.index.values import fold, interval_of

INDEX_VERSION = 7

__all__ = [
    "INDEX_VERSION",
    "IndexRow",
    "Narrow",
    "fold",
    "index_row",
    "interval_of",
    "linked",
    "parameter",
    "patient_references",
    "token_digest",
    "token_digests",
]
