"""`overblik keys`: master keys of bodies and their rotation, a record erased by its keys, the log's key replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from overblik.cli.console import current_settings, err, fail, out
from overblik.cli.opened import with_runtime
from overblik.fhir.errors import NotFound
from overblik.store.queries import sql
from overblik.store.sealing import rewrite, seal_stored, wrap_anew
from overblik.trust.keys.erasure import shred as erase
from overblik.trust.keys.masters import FileMasters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from overblik.app.runtime import Runtime
    from overblik.store.vault import Vault
    from overblik.trust.log.rotation import Rotation

app = typer.Typer(
    no_args_is_help=True, help="Bodies sealed at rest: master keys, rotation, erasing one record; the log's key."
)


def _path() -> Path:
    path = current_settings().body_keys
    if path is None:
        fail("set OVERBLIK_BODY_KEYS to the file that the master keys are, or shall be, in.")
    return path


def _vault(runtime: Runtime) -> Vault:
    vault = runtime.database.vault
    if vault is None:
        fail("set OVERBLIK_BODY_KEYS to the file of the master keys; `overblik keys make` makes one.")
    return vault


@app.command("make")
def make() -> None:
    """Make the file of master keys that OVERBLIK_BODY_KEYS names, with a first key.

    Keep a copy of it where no copy of the database is kept: without it nothing sealed can be read again, and with it
    and a copy of the database everything can.
    """
    path = _path()
    if path.exists():
        fail(f"{path} is there already; `overblik keys rotate` adds a key.")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    err.print(f"{FileMasters(path).add()} is in force. Keep a copy of {path}, apart from the database's.", markup=False)


@app.command("status")
def status() -> None:
    """Say which master keys wrap how many keys, and how many bodies are not sealed."""

    async def run(runtime: Runtime) -> None:
        current = await _vault(runtime).masters.current()
        for row in await runtime.database.fetch(sql("masters_in_use")):
            note = "in force" if row.master == current else "replaced; run `overblik keys rotate`"
            out.print(f"{row.master}\t{row.keys} keys\t{note}", markup=False)
        out.print(f"{(await runtime.database.fetch(sql('count_plain')))[0].plain} bodies not sealed")

    with_runtime(run)


@app.command("encrypt")
def encrypt(
    fresh: Annotated[
        bool, typer.Option("--rewrite", help="Then write the tables anew; each is closed meanwhile, and needs room.")
    ] = False,
) -> None:
    """Seal every body and message that was stored before, while the server runs. Stop and start it at will.

    What was plain still stands in dead rows until they are overwritten (--rewrite: at once), in the database's
    write-ahead log, and in copies made before.
    """

    async def run(runtime: Runtime) -> int:
        done = await _counted("sealed", seal_stored(runtime.database, _vault(runtime)))
        if fresh:
            await rewrite(runtime.database)
        return done

    out.print(f"{with_runtime(run)} bodies sealed")


@app.command("rotate")
def rotate(
    drop: Annotated[
        bool, typer.Option("--drop", help="Then destroy the master keys before, once nothing is wrapped by them.")
    ] = False,
) -> None:
    """Put a new master key in force and have it wrap every record's key; bodies stay as they are.

    A rotation that was stopped goes on with the key that it made. --drop makes every older copy of a wrapped key
    worthless, those of erased records too: older backups then open only with the keys in the database of today.
    """
    masters = FileMasters(_path())

    async def run(runtime: Runtime) -> int:
        vault = _vault(runtime)
        used = {row.master for row in await runtime.database.fetch(sql("masters_in_use"))}
        if used <= {await masters.current()}:
            masters.add()
        done = await _counted("wrapped", wrap_anew(runtime.database, vault))
        if drop:
            await _drop(runtime, masters)
        return done

    done = with_runtime(run)
    out.print(f"{done} keys wrapped by {masters.names()[-1]}", markup=False)


@app.command("rotate-log")
def rotate_log() -> None:
    """Have the log's signer replace its key, and destroy the old one; both sign the head that is last (docs/log.md).

    Prints the new key, to be published beside the old one, and the head that both have signed. The server may run
    meanwhile. Who has a key of before goes on verifying with it.
    """

    async def run(runtime: Runtime) -> tuple[str, list[Rotation]]:
        await runtime.drain()
        await runtime.heads.sign()
        rotations = await runtime.heads.rotate()
        return await runtime.heads.key(), rotations

    key, rotations = with_runtime(run)
    out.print(key, markup=False, soft_wrap=True)
    if rotations:
        out.print(rotations[-1].note, markup=False, soft_wrap=True, end="")


async def _drop(runtime: Runtime, masters: FileMasters) -> None:
    """Destroy the master keys before the one in force; nobody wraps with them from here on."""
    async with runtime.database.transaction() as transaction:
        await transaction.run(sql("hold_masters"))
        old = masters.names()[:-1]
        used = {row.master for row in await transaction.fetch(sql("masters_in_use"))}
        if used & set(old):
            fail("something was wrapped by an older master key meanwhile; run `overblik keys rotate --drop` again.")
        masters.drop(old)


@app.command("shred")
def shred(
    patient: Annotated[str, typer.Argument(help="A Patient of the record, as Patient/ID.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, for the log; the citizen reads it.")],
    sure: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
) -> None:
    """Erase one person's record for good: destroy its keys, and everything its bodies left.

    There is no way back. Prints the receipt that stands in the log; `overblik verify-log` still holds.
    """
    name = patient.removeprefix("Patient/")
    if not sure:
        typer.confirm(f"Destroy the keys of everything in the record of Patient/{name}?", abort=True)

    async def run(runtime: Runtime) -> list[str]:
        try:
            receipt = await erase(runtime.door, name, reason)
        except NotFound:
            fail(f"there is no Patient/{name}.")
        await runtime.drain()
        lines = [f"key {kid} destroyed; it was wrapped as {was}" for kid, was in receipt.keys]
        lines.append(f"{receipt.bodies} bodies are gone, {receipt.plain} of them were never sealed")
        lines.append(f"{receipt.elsewhere} resources about this person stay in others' records")
        return [*lines, "copies of the key made before open until `overblik keys rotate --drop`"]

    for line in with_runtime(run):
        out.print(line, markup=False)


async def _counted(word: str, steps: AsyncIterator[int]) -> int:
    done = 0
    columns = (SpinnerColumn(), TextColumn("{task.completed} " + word))
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=None)
        async for count in steps:
            done += count
            progress.advance(task, count)
    return done
