"""``accel store``: what a store holds, shown, removed, and carried to another.

Every command takes ``--json`` and then prints one object (docs/stores.md). Codes: 0, all was done;
1, done, but something asked for is not there or not readable; 2, nothing more could be done; 130,
interrupted, and the same command goes on.
"""

from __future__ import annotations

import typer

from accel_core.cli.store_carry import copy_store, export_store, import_file
from accel_core.cli.store_look import get_entry, invalidate, list_entries, store_info

store = typer.Typer(
    no_args_is_help=True, help="Look into a store, remove entries, carry them to another."
)
store.command("info")(store_info)
store.command("list")(list_entries)
store.command("get")(get_entry)
store.command("invalidate")(invalidate)
store.command("export")(export_store)
store.command("import")(import_file)
store.command("copy")(copy_store)
