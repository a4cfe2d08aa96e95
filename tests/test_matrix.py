"""Every strategy × kind of model × phase lowers, is proven, means the model, lints clean and sends what formulas say.

What is impossible is refused, with the reason that the table gives. `python benchmarks/matrix.py` prints it.
"""

import pytest
from matrix.cells import Cell, cells, run
from matrix.strategies import STRATEGIES

from dagc.frontends.strategy import strategies


@pytest.mark.parametrize("cell", list(cells()), ids=lambda cell: cell.name)
def test_cell(cell: Cell) -> None:
    made = run(cell)
    assert made.right, (made.refusal, made.proven, made.meant, made.lint[:5], made.unlike, made.sends)


def test_every_shipped_strategy_is_in_the_table() -> None:
    asked = {part.split("=")[0] for entry in STRATEGIES.values() for part in entry.text.split(",")}
    assert {strategy.name for strategy in strategies()} <= asked | {"ep-tp"}
