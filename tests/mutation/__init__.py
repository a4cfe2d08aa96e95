"""The mutation suite: faults put into lowered modules and emitted graphs, and who catches them.

| file | holds |
| --- | --- |
| `cases` | small models under every shipped strategy |
| `surgery`, `operators` | tools that change a deployment without breaking its numbering |
| `volumes` | what mutated collectives say they send |
| `reductions`, `exchanges`, `holdings`, `programs`, `layers`, `orders`, `statements` | faults of emitted graphs |
| `caches`, `stores`, `parts` | the same, of what not every strategy has |
| `rewriting`, `module_moves`, `module_programs` | faults of lowered modules |
| `legal` | changes that are right and must pass |
| `classes` | the table: class → catalogue → injector |
| `catalogue` | the bug classes, each with what covers it or why it cannot be written down |
| `interpreter`, `pieces` | the judge: runs an emitted graph in float64 |
| `defence` | the verifier under test |
| `suite` | runs classes over cases |
"""
