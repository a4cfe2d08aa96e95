"""`dagc strategies`: a line each with what they need; `dagc strategies NAME`: the file, to copy."""

from __future__ import annotations

import json

import click


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True)
def strategies(name: str | None, as_json: bool) -> None:
    """List the strategies with their constraints, or print the file of the one called NAME, to copy and change."""
    from ..frontends.strategy import strategies as known
    from ..frontends.strategy_file import builtin_text

    if name is not None:
        click.echo(builtin_text(name), nl=False)
        return
    found = known()
    if as_json:
        entries = [
            {"name": s.name, "about": s.about, "needs": s.needs, "axes": [a for a, _ in s.axes]}
            | ({"alternatives": [way.alternative for way in s.alternatives]} if s.alternatives else {})
            for s in found
        ]
        click.echo(json.dumps(entries, indent=1, ensure_ascii=False))
        return
    width = max(len(s.name) for s in found)
    for s in found:
        click.echo(f"{s.name:<{width}}  {s.about}")
        ways = " | ".join(way.alternative for way in s.alternatives)
        said = [*(f"needs: {need}" for need in s.needs), *[f"alternatives: {ways}"] * bool(ways)]
        click.echo("".join(f"{'':<{width}}  {line}\n" for line in said), nl=False)
