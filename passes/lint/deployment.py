"""DIM2: local parts add up to the global size. DEP1: a module is divided into as many parts as its GPUs can hold, each
one after the other where it runs in steps.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from math import prod

from ...diagnostics import Diagnostic
from ...ir.drawing import Drawing, Fact, Kind, Node, Size, Tensor
from .finding import finding, listed

_SIDES = (("inputs", "whole_inputs"), ("outputs", "whole_outputs"))
Key = tuple[str, str, str, frozenset[tuple[str, Size]]]


def check_local_and_global(drawing: Drawing) -> Iterator[Diagnostic]:
    """Where a node states global sizes beside local ones."""
    sums: dict[Key, list[tuple[Node, Tensor]]] = defaultdict(list)
    for node, pairs in _paired(drawing):
        for local, whole in pairs:
            bad = next((name for name in local.dims if _exceeds(local, whole, name)), None)
            if bad is not None:
                problem = f"`{node.title}`: the local {bad} is larger than the global one"
                yield finding("DIM2", drawing, node, problem, f"at most {whole.dims[bad]}", str(local.dims[bad]))
            elif not node.is_comm and not node.is_host and node.gpus:
                sums[(node.path, node.title, node.repeat, whole.key)].append((node, local))
    if not drawing.partial:
        for (_, _, _, whole), parts in sums.items():
            yield from _not_adding_up(drawing, dict(whole), parts)


def _paired(drawing: Drawing) -> Iterator[tuple[Node, list[tuple[Tensor, Tensor]]]]:
    """Nodes that state local and global tensors of the same names, with these."""
    known: dict[object, list[tuple[Tensor, Tensor]]] = {}
    for node in drawing.nodes:
        pairs = known.get(node.alike) if node.alike is not None else None
        if pairs is None:
            pairs = known[node.alike] = list(_pairs(node))
        if pairs:
            yield node, pairs


def _exceeds(local: Tensor, whole: Tensor, name: str) -> bool:
    part, total = local.dims[name], whole.dims.get(name, local.dims[name])
    return isinstance(part, int) and isinstance(total, int) and part > total


def _pairs(node: Node) -> Iterator[tuple[Tensor, Tensor]]:
    """Local and global tensors of a node, where it states both of the same names."""
    for local, whole in _SIDES:
        here, there = _plain(getattr(node, local)), _plain(getattr(node, whole))
        if len(here) == len(there):
            for pair in zip(here, there, strict=True):
                if pair[0].dims.keys() == pair[1].dims.keys():
                    yield pair


def _plain(fact: Fact) -> tuple[Tensor, ...]:
    return tuple(tensor for tensor in fact if tensor.plain) if isinstance(fact, tuple) else ()


def _not_adding_up(drawing: Drawing, whole: dict[str, Size], parts: list[tuple[Node, Tensor]]) -> Iterator[Diagnostic]:
    """Over all GPUs, every part is there equally often: sizes add up to a multiple of the whole."""
    counts = Counter((id(local), len(node.gpus)) for node, local in parts)
    held = {id(local): local for _, local in parts}
    for name, total in sorted(whole.items()):
        sizes = [(held[at].dims[name], gpus * count) for (at, gpus), count in counts.items()]
        numbers = [size * count for size, count in sizes if isinstance(size, int)]
        if not isinstance(total, int) or not total or len(numbers) < len(sizes) or sum(numbers) % total == 0:
            continue
        node, gpus = parts[0][0], sum(count for _, count in sizes)
        problem = f"`{node.title}`: the local sizes of {name} on {gpus} GPUs do not add up to the global size"
        expected = f"a multiple of {total} (each part equally often)"
        yield finding("DIM2", drawing, node, problem, expected, f"{sum(numbers)} in all",
                      "let the parts of every replica add up to the global size")  # fmt: skip
        return


def check_parts(drawing: Drawing) -> Iterator[Diagnostic]:
    """Parts by global and local sizes, and parts that titles number: `shard 3/8`."""
    if drawing.partial:
        return
    yield from _divided(drawing)
    yield from _numbered(drawing)


def _divided(drawing: Drawing) -> Iterator[Diagnostic]:
    """A GPU counts as often as it holds a part: it may compute several experts apart."""
    placed: dict[Key, tuple[Node, Tensor, Tensor, list[int]]] = {}
    for node, pairs in _paired(drawing):
        if node.kind is not Kind.COMPUTE or not node.gpus:
            continue
        for local, whole in pairs:
            key = (node.path, node.title, node.repeat, whole.key)
            placed.setdefault(key, (node, local, whole, []))[3].extend(node.gpus)
    told = set[tuple[str, str]]()
    for (path, title, *_), (node, local, whole, gpus) in placed.items():
        parts = _parts(local, whole)
        if parts and len(gpus) * node.steps % parts and (path, title) not in told:
            told.add((path, title))
            count = len(set(gpus))
            problem = f"`{title}` is divided into {parts} parts, and placed on {count} GPUs"
            yield finding("DEP1", drawing, node, problem, f"a multiple of {parts} GPUs", f"{count} GPUs",
                          "divide it into as many parts as there are GPUs, or replicate all of them")  # fmt: skip


def _parts(local: Tensor, whole: Tensor) -> int:
    """How many parts a tensor has; 0 where sizes are no numbers, or parts are not equal."""
    ratios = list[int]()
    for name, total in whole.dims.items():
        part = local.dims[name]
        if not isinstance(part, int) or not isinstance(total, int) or not part or total % part:
            return 0
        ratios.append(total // part)
    return prod(ratios)


def _numbered(drawing: Drawing) -> Iterator[Diagnostic]:
    """Operators whose titles say which part of how many they are."""
    found: dict[tuple[str, int, str], list[Node]] = defaultdict(list)
    for node in drawing.nodes:
        if node.part and node.part[1] > 0:
            index, count = node.part
            stem = node.title.replace(f"{index}/{count}", "").replace(f"{index} of {count}", "")
            found[(stem, count, node.repeat)].append(node)
    for (_, count, _), nodes in found.items():
        numbers = {node.part[0] for node in nodes if node.part}
        gpus = frozenset[int]().union(*(node.gpus for node in nodes))
        if len(numbers) != count:
            problem = f"`{nodes[0].title}`: {len(numbers)} of {count} parts are there"
            yield finding("DEP1", drawing, nodes[0], problem, f"{count} parts", listed(map(str, sorted(numbers))),
                          "draw every part, on a GPU of its own")  # fmt: skip
        elif gpus and len(gpus) % count:
            problem = f"`{nodes[0].title}` is divided into {count} parts, and placed on {len(gpus)} GPUs"
            yield finding("DEP1", drawing, nodes[0], problem, f"a multiple of {count} GPUs", f"{len(gpus)} GPUs")
