"""Hold the documentation against the program: error codes, settings, commands, links, tests that are named.

    .venv/bin/python scripts/check_docs.py

Prints what is missing or no longer true, one line each, and exits with 1 if there is any.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "overblik"
DOCS = ROOT / "docs"
TESTS = ROOT / "tests"
_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CASE = re.compile(r"^\| ([A-Z]\d\d) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_THREAT = re.compile(r"^\| [STRIDE] \| ([^|]+) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
_FILE = re.compile(r"`((?:[a-z0-9_]+/)*test_[a-z0-9_]+\.py)`")
_NAMED = re.compile(r"`tests/((?:[a-z0-9_]+/)*[a-z0-9_]+\.py)(?:::(test_[a-z0-9_]+))?`")
_RAISED = frozenset({
    "Malformed", "Unprocessable", "Conflict", "Gone", "PreconditionFailed", "Forbidden", "Unsupported", "TooLarge",
    "TooMany", "Unavailable", "NotAcceptable", "NotAllowed", "Issue", "OverblikError", "add", "__init__",
    "_fault", "Full", "TooSlow", "Damaged",
})  # fmt: skip
"""Calls whose first argument is a stable error code; `add` is the structure check's report,
`_fault` the XML reader's."""
_TABLES = frozenset({"ERRORS", "_REASONS"})
"""Module tables that hold codes: {code: text}, or rows of (what the library says, code, text)."""


def error_codes() -> set[str]:
    """Return every stable code the program can answer with."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _name(node.func) in _RAISED and node.args:
                found |= _constants(node.args[0])
            elif isinstance(node, ast.Assign) and _name(node.targets[0]) in _TABLES:
                found |= _table(node.value)
    return {code for code in found if _CODE.fullmatch(code)}


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _constants(node: ast.expr) -> set[str]:
    if isinstance(node, ast.IfExp):
        return _constants(node.body) | _constants(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def _table(node: ast.expr) -> set[str]:
    if isinstance(node, ast.Dict):
        return {code for key in node.keys if key for code in _constants(key)}
    rows = [row for row in getattr(node, "elts", []) if isinstance(row, ast.Tuple)]
    return {code for row in rows for code in _constants(row.elts[1])}


def settings() -> set[str]:
    """Return the environment variables that are read."""
    from overblik.app.settings import Settings  # noqa: PLC0415 - only where the environment is built

    return {f"OVERBLIK_{name.upper()}" for name in Settings.model_fields}


def _listed(page: str) -> set[str]:
    return set(_ROW.findall((DOCS / page).read_text(encoding="utf-8")))


def _compare(page: str, told: set[str], real: set[str]) -> list[str]:
    missing = [f"docs/{page}: `{item}` is not listed" for item in sorted(real - told)]
    return missing + [f"docs/{page}: `{item}` no longer exists" for item in sorted(told - real)]


def _broken_links() -> list[str]:
    found = []
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]:
        for target in _LINK.findall(page.read_text(encoding="utf-8")):
            if "://" in target or target.startswith(("#", "mailto:")):
                continue
            if not (page.parent / target.split("#")[0]).exists():
                found.append(f"{page.relative_to(ROOT)}: the link to {target} leads nowhere")
    return found


def _commands() -> list[str]:
    """Check that every `./run …` and `overblik …` command that a page shows exists."""
    import typer  # noqa: PLC0415 - where it is installed

    from overblik.cli.main import commands  # noqa: PLC0415 - as above

    group = typer.main.get_command(commands())
    known = set(getattr(group, "commands", {}))
    found = []
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for command in re.findall(r"\./run overblik ([a-z]+(?:-[a-z]+)*)", text):
            if command not in known:
                found.append(f"{page.relative_to(ROOT)}: there is no command `overblik {command}`")
        for command in re.findall(r"\./run ([a-z]+)", text):
            if command not in {"demo", "test", "check", "bench", "overblik", "lock"}:
                found.append(f"{page.relative_to(ROOT)}: there is no command `./run {command}`")
    return found


def tests_of(file: str) -> set[str]:
    """Return the names of the tests in a file below `tests/`; none where there is no such file."""
    path = TESTS / file
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
    functions = (n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return {function.name for function in functions if function.name.startswith("test_")}


def cases() -> dict[str, tuple[str, ...]]:
    """Return the rows of docs/security-cases.md with the files of their tests; none where it says why."""
    rows = _CASE.findall((DOCS / "security-cases.md").read_text(encoding="utf-8"))
    return {row: () if said.startswith("not yet: ") else tuple(_FILE.findall(said)) for row, _, said in rows}


def _cases() -> list[str]:
    """Check that every row of an attack or fault has tests that bear its name, or says why not."""
    page, found = "docs/security-cases.md", []
    text = (DOCS / "security-cases.md").read_text(encoding="utf-8")
    rows = [row for row, _, _ in _CASE.findall(text)]
    found += [f"{page}: {row} stands twice" for row in sorted(set(rows)) if rows.count(row) > 1]
    for row, _, said in _CASE.findall(text):
        files = cases()[row]
        if not files and not said.startswith("not yet: "):
            found.append(f"{page}: {row} has neither a test nor a reason")
        for file in files:
            if not any(row.lower() in name.split("_") for name in tests_of(file)):
                found.append(f"{page}: no test of {row} in tests/{file}")
    return found


def _threats() -> list[str]:
    """Check that every threat has a test, and that each row it goes by has some."""
    found, known = [], {row for row, files in cases().items() if files}
    for threat, said in _THREAT.findall((DOCS / "threat-model.md").read_text(encoding="utf-8")):
        rows = re.findall(r"\b[A-Z]\d\d\b", said)
        found += [f"docs/threat-model.md: {row} has no test ({threat})" for row in rows if row not in known]
        if not rows and "`tests/" not in said:
            found.append(f"docs/threat-model.md: no test is named for {threat!r}")
    return found


def _tests_named() -> list[str]:
    """Check that the tests and files of tests that a page names exist."""
    found = []
    for path in DOCS.rglob("*.md"):
        for file, name in _NAMED.findall(path.read_text(encoding="utf-8")):
            if not (TESTS / file).exists() or (name and name not in tests_of(file)):
                found.append(f"{path.relative_to(ROOT)}: there is no tests/{file}{'::' if name else ''}{name}")
    return found


def problems() -> list[str]:
    """Return everything in the documentation that is not so."""
    return [
        *_compare("errors.md", _listed("errors.md"), error_codes()),
        *_compare("settings.md", _listed("settings.md"), settings()),
        *_broken_links(),
        *_commands(),
        *_cases(),
        *_threats(),
        *_tests_named(),
    ]


if __name__ == "__main__":
    found = problems()
    for problem in found:
        sys.stdout.write(problem + "\n")
    sys.exit(1 if found else 0)
