"""`dagc explain CODE`: what a code means, and what mends it."""

from __future__ import annotations

import click

from ..diagnostics import Diagnostic, Refused


@click.command()
@click.argument("code")
def explain(code: str) -> None:
    """Say what a diagnostic or rule CODE means and what mends it."""
    from ..codes import CODES, RULES
    from ..diagnostics import nearest

    found = next((name for name in (*CODES, *RULES) if name.lower() == code.lower()), None)
    if found is None:
        problem = f"no diagnostic or rule has the code {code}"
        raise Refused(Diagnostic("unknown-key", problem, hint=nearest(code, {*CODES, *RULES})), usage=True)
    lines = [RULES[found]] if found in RULES else []
    lines += [CODES[found].meaning, CODES[found].mend] if found in CODES else []
    click.echo("\n  ".join([found, *lines]))
