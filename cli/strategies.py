"""`dagc strategies`: a line each."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True)
def strategies(as_json: bool) -> None:
    """List the strategies, a line each."""
    from ..frontends.strategy import strategies as known

    found = known()
    if as_json:
        click.echo(json.dumps([{"name": name, "about": about} for name, about in found], indent=1))
        return
    width = max(len(name) for name, _ in found)
    for name, about in found:
        click.echo(f"{name:<{width}}  {about}")
