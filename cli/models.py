"""`dagc models`: what is built in."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--json", "as_json", is_flag=True)
def models(as_json: bool) -> None:
    """List the built-in models and the architectures that config.json files may name."""
    from ..frontends.architectures import table
    from ..frontends.catalogue import builtin_models

    found, kinds = builtin_models(), sorted(table().architectures)
    if as_json:
        entries = [
            {"name": m.name, "layers": len(m.layers), "hidden": m.hidden, "moe": m.moe is not None} for m in found
        ]
        click.echo(json.dumps({"models": entries, "architectures": kinds}, indent=1, ensure_ascii=False))
        return
    width = max(len(model.name) for model in found)
    for model in found:
        experts = f", {model.moe.experts} experts top-{model.moe.top_k}" if model.moe else ""
        click.echo(f"{model.name:<{width}}  {len(model.layers)} layers, hidden {model.hidden}{experts}")
    click.echo(f"architectures: {', '.join(kinds)}", err=True)
