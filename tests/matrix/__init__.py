"""Every strategy × every kind of model × both phases: what is lowered and proven, and that it sends what textbooks say.

| file | holds |
| --- | --- |
| `shapes` | the models, by figures of their published configurations |
| `volumes` | what a GPU sends per layer, by formula: nothing here is computed with dagc |
| `strategies` | how each strategy is asked for on a few GPUs, its formula, and what is impossible and why |
| `cells` | one cell: compile, verify, draw, lint, compare |

`python benchmarks/matrix.py` prints the table; `tests/test_matrix.py` demands every cell.
"""
