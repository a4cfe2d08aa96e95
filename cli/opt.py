"""`dagc opt`: runs passes by hand."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    short_help="Run passes by hand: dagc opt FILE -p 'shard{strategy=ep},communicate'.",
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
def opt(args: tuple[str, ...]) -> None:
    """The free driver: an xDSL optimiser with dagc's dialect and passes."""
    from ..opt import run

    run(list(args))
