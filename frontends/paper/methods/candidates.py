"""Plans near one that is impossible as written, the nearest first; whether they are possible is for a trial to say.

tp=12 on 12 GPUs, 32 heads     uneven parts; tp=4,pp=3; tp=4,dp=3; tp=6,dp=2; …
tp=8,pp=2 on 32 GPUs           tp=8,pp=2,dp=2; tp=8,pp=4; …
stages that fit 50 MB          the same stages, of which nothing says that they fit
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import log2, prod

from ....diagnostics import Diagnostic
from ..facts import Method
from .bodies import body_of, meshes_of, sizes_of, staged, uneven, with_sizes

COPIES = ("dp", "pp")
"""Axes that take up GPUs which a plan leaves over."""
_AXIS = re.compile(r"axis (\w+) does not divide (\w+) = (\d+) into (\d+)")
_MOST = 50_000


@dataclass(frozen=True)
class Candidate:
    """A plan by name, and what it changes, in words. `cost`: the more the paper is broken."""

    name: str
    method: Method
    about: str
    cost: float


def candidates(method: Method, problems: Sequence[Diagnostic], gpus: int | None) -> list[Candidate]:
    """Plans that might stand for one with these problems, the nearest first."""
    codes = {problem.code for problem in problems}
    found = [*_uneven(method, problems), *_uneven_stages(method, codes), *_balanced(method, codes)]
    found += _not_resident(method, codes)
    if gpus is not None and codes & {"indivisible", "OUT6", "mesh", "slots", "stages"}:
        found += _resized(method, gpus)
    return sorted(found, key=lambda one: one.cost)


def indivisible(problems: Sequence[Diagnostic]) -> list[tuple[str, str, int, int]]:
    """Axis, dimension, its size and the parts of everything that does not divide; a cache is as long as a sequence."""
    found = [match for problem in problems if (match := _AXIS.search(problem.problem))]
    listed = list(dict.fromkeys((m[1], m[2], int(m[3]), int(m[4])) for m in found))
    return [one for one in listed if one[1] != "kv_len" or (one[0], "seq_len", *one[2:]) not in listed]


def _uneven(method: Method, problems: Sequence[Diagnostic]) -> Iterator[Candidate]:
    """Parts that are as equal as can be, of dimensions that have at least as many units as parts."""
    wrong = indivisible(problems)
    if wrong and all(size >= parts for _, _, size, parts in wrong):
        each = (f"{name} {size} in {parts} of {-(-size // parts)} or {size // parts}" for _, name, size, parts in wrong)
        about = f"parts that are not equal: {', '.join(each)}"
        yield Candidate("uneven", uneven(method, {axis for axis, *_ in wrong}), about, 0.0)


def _uneven_stages(method: Method, codes: set[str]) -> Iterator[Candidate]:
    """The same stages with as equal counts of layers as can be, where they cannot be equal."""
    stages = body_of(method).get("stages", {}) if "stages" in codes else {}
    if stages.get("layers") == "even":
        yield Candidate("uneven-stages", staged(method, "uneven"), "stages whose counts of layers differ by one", 0.1)


def _balanced(method: Method, codes: set[str]) -> Iterator[Candidate]:
    """Stages that are as equal as can be, where filling one after another leaves GPUs idle."""
    body = body_of(method) if method.body else {}
    stages = body.get("stages", {})
    if isinstance(stages, dict) and stages.get("how") == "fewest" and codes & {"stages", "OUT6", "mesh"}:
        made = replace(method, body={**body, "stages": {**stages, "how": "balanced"}})
        yield Candidate("balanced", made, "every GPU gets a stage, the fullest as small as can be", 0.1)


def _not_resident(method: Method, codes: set[str]) -> Iterator[Candidate]:
    """The same stages without the claim that they fit the capacity."""
    body = body_of(method) if method.body else {}
    stages = body.get("stages")
    if stages and "capacity" in codes:
        made = staged(method, "uneven")
        about = f"as many layers a stage, which do not stay in the {stages.get('capacity', 'memory')}"
        yield Candidate("not-resident", made, about, 1.0)


def _resized(method: Method, gpus: int) -> Iterator[Candidate]:
    """The same axes in other sizes that make use of all GPUs, perhaps with copies or stages of it."""
    sizes = sizes_of(method)
    if not sizes:
        return
    meshes = [list(mesh) for mesh in meshes_of(body_of(method))] if method.body else [list(sizes)]
    ways = [size for size in range(1, gpus + 1) if gpus % size == 0 or len(meshes) > 1]
    if len(ways) ** len(sizes) > _MOST:
        ways = [size for size in ways if size & (size - 1) == 0]
    for chosen in product(ways, repeat=len(sizes)):
        made = dict(zip(sizes, chosen, strict=True))
        total = sum(prod(made[axis] for axis in mesh) for mesh in meshes)
        yield from _filled(method, sizes, made, gpus, total, len(meshes))


def _filled(
    method: Method, old: dict[str, int], new: dict[str, int], gpus: int, total: int, pools: int
) -> Iterator[Candidate]:
    if total == gpus and new != old:
        yield _candidate(method, old, new, {})
    elif total < gpus and gpus % total == 0 and pools == 1:
        for axis in COPIES:
            if axis not in old:
                yield _candidate(method, old, new, {axis: gpus // total})


def _candidate(method: Method, old: dict[str, int], new: dict[str, int], extra: dict[str, int]) -> Candidate:
    changed = {axis: size for axis, size in new.items() if size != old[axis]}
    far = sum(abs(log2(new[axis] / old[axis])) for axis in changed)
    cost = (
        2.0 * len(changed) + far + sum(0.5 + 0.1 * log2(size) + 0.05 * (axis == "pp") for axis, size in extra.items())
    )
    said = [f"{axis} {old[axis]} → {size}" for axis, size in changed.items()]
    said += [f"{size} copies of it (dp)" if axis == "dp" else f"{size} pipeline stages" for axis, size in extra.items()]
    name = ",".join(f"{axis}={size}" for axis, size in {**extra, **new}.items() if size > 1)
    return Candidate(name or "one-gpu", with_sizes(method, new, extra), ", ".join(said), cost)
