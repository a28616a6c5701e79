"""Commands about the artifact cache."""

from typing import Annotated

import typer

from sim.cli.options import JsonOption
from sim.cli.output import print_json

app = typer.Typer(help="The artifact cache: trained models and computed features.", no_args_is_help=True)


@app.command("ls")
def cache_ls(as_json: JsonOption = False) -> None:
    """List what is in the cache, last used first."""
    from sim.cache import Cache

    cache = Cache()
    entries = cache.entries()
    if as_json:
        print_json([vars(entry) for entry in entries])
        return
    for entry in entries:
        print(f"{entry.kind:<10} {entry.digest} {entry.size_bytes / 1e6:10.1f} MB")
    print(f"{len(entries)} artifacts, {sum(entry.size_bytes for entry in entries) / 1e6:.1f} MB in {cache.folder}")


@app.command("prune")
def cache_prune(
    unused_days: Annotated[float, typer.Option(min=0, help="Delete what has not been used for so many days.")] = 30,
) -> None:
    """Delete what has not been used for a while; it is made again when it is needed."""
    from sim.cache import Cache

    gone = Cache().prune(unused_days)
    print(f"deleted {len(gone)} artifacts, {sum(entry.size_bytes for entry in gone) / 1e6:.1f} MB")
