"""The table of strategy × model × phase: lowered, proven, meaning checked, lint clean, volumes as formulas say.

    python benchmarks/matrix.py

A cell lists the collectives of one layer with the elements that one GPU sends, compared with `tests/matrix/volumes.py`,
which shares no code with dagc. A cell that is impossible says why. Exit code 1 when a cell is not as it should be.
"""

from __future__ import annotations

import sys
from collections import Counter
from multiprocessing import Pool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from matrix.cells import Outcome, cells, run
from matrix.shapes import MODELS

UNITS = ((10**9, "G"), (10**6, "M"), (10**3, "k"))


def text(made: Outcome) -> str:
    """What a cell of the table says."""
    if made.refusal:
        return ("" if made.right else "**not as expected** ") + f"– {made.refusal}"
    checks = {"unproven": not made.proven, "not the model": not made.meant, "lint": made.lint, "volumes": made.unlike}
    wrong = ", ".join(name for name, found in checks.items() if found)
    return (f"**{wrong}** " if wrong else "✓ ") + "; ".join(sent(kind, moves) for kind, moves in made.sends.items())


def sent(kind: str, moves: list[tuple[str, int]]) -> str:
    """`moe: 2 × all-to-all 12.6 M`."""
    counted = Counter(moves)
    listed = (
        f"{count} × {name} {short(size)}" if count > 1 else f"{name} {short(size)}"
        for (name, size), count in counted.items()
    )
    return f"{kind}: {', '.join(listed)}" if moves else f"{kind}: nothing sent"


def short(size: int) -> str:
    scale, unit = next(((s, u) for s, u in UNITS if size >= s), (1, ""))
    return f"{size / scale:.4g} {unit}".strip()


def main() -> int:
    """Print the table, in Markdown."""
    with Pool(2) as workers:
        made = workers.map(run, list(cells()))
    print(f"| strategy | phase | {' | '.join(MODELS)} |")
    print(f"| --- | --- |{' --- |' * len(MODELS)}")
    rows: dict[tuple[str, str], list[str]] = {}
    for each in made:
        rows.setdefault((each.cell.strategy, each.cell.phase), []).append(text(each))
    for (strategy, phase), said in rows.items():
        print(f"| {strategy} | {phase} | {' | '.join(said)} |")
    wrong, refused = (sum(map(bool, each)) for each in zip(*((not m.right, m.refusal) for m in made), strict=True))
    lowered = len(made) - refused
    print(f"\n{len(made)} cells: {lowered} lowered, {refused} impossible, {wrong} not as they should be.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
