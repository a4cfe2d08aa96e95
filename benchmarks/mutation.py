"""Which layer of defence catches which class of faults.

    python benchmarks/mutation.py [places]

Faults are put into lowered modules and emitted graphs of small models under every shipped strategy (`tests/mutation`),
each class at so many places a case. A mutant that computes the model all the same (run in float64, by code that is not
the verifier) changes nothing: it is counted by itself, whether the verifier passes it or insists on what is stated.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from mutation.cases import APART, CASES
from mutation.defence import layers
from mutation.suite import Result, run_case

EQUAL, EQUAL_REFUSED, MISSED = "changes nothing, passed", "changes nothing, refused", "missed"


def outcome(result: Result) -> str:
    """The column a mutant counts in."""
    if result.equal:
        return EQUAL_REFUSED if result.layer else EQUAL
    return result.layer or MISSED


def table(results: Sequence[Result]) -> str:
    """Classes × layers, in Markdown."""
    named = dict.fromkeys([*layers(CASES[0]), *(result.layer for result in results if result.layer)])
    columns = [*named, EQUAL_REFUSED, EQUAL, MISSED]
    counts: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    for result in results:
        counts[result.family, result.fault, result.catalogue][outcome(result)] += 1
    lines = [["fault in a", "class", "catalogue", *columns], ["---"] * (3 + len(columns))]
    lines += [[*key, *(str(count[column] or "") for column in columns)] for key, count in sorted(counts.items())]
    total = Counter(map(outcome, results))
    lines.append(["", "all", "", *(str(total[column]) for column in columns)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    places = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with Pool() as pool:
        found = pool.map(partial(run_case, places=places), (*CASES, *APART), chunksize=1)
    results = [result for each in found for result in each]
    print(table(results))
    matter = [result for result in results if not result.equal]
    caught = sum(not result.survived for result in matter)
    deployments = len(CASES) + len(APART)
    print(f"\n{len(results)} mutants of {deployments} deployments; {len(results) - len(matter)} change nothing;")
    print(f"of the {len(matter)} others {caught} are caught ({caught / len(matter):.1%})")
    for result in matter:
        if result.survived:
            print(f"missed: {result.case}: {result.family}: {result.fault}: {result.where} {result.crash}")


if __name__ == "__main__":
    main()
