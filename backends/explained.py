"""Explanations for people: what a value is, and under each dimension and debt why.

all_reduce at layers.attention.o_proj, layers 0-31, on all
  batch_size = 16, of which a GPU has 8
    dp cuts it into 2: rule at *: dp cuts batch_size (strategies/dp.yaml:4)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def text(explained: Mapping[str, Any]) -> str:
    """One explanation, as lines."""
    return "\n".join(_lines(explained))


def _lines(said: Mapping[str, Any]) -> Iterator[str]:
    layers = f", layers {said['layers']}" if said["layers"] else ""
    yield f"{said['model']} under {said['strategy']}: {said['operator']} at {said['path']}{layers}, on {said['on']}"
    yield from (f"  from {said['from']}" for _ in range(bool(said["from"])))
    yield from (f"  drawn as {said['drawn_as']}" for _ in range("drawn_as" in said))
    for dim in said["dimensions"]:
        yield f"  {dim['name']} = {dim['global']}, " + (
            f"of which a GPU has {dim['local']}" if dim["cuts"] else "whole"
        )
        yield from (f"    {_cut(cut)}" for cut in dim["cuts"])
        yield from (f"    {copy['parts']} copies over {copy['axis']}: {_why(copy)}" for copy in dim["copies"])
    yield from (f"  owes {debt['kind']} over {debt['axis']}: {_why(debt)}" for debt in said["owes"])
    if said["move"]:
        yield from _move(said["move"])


def _move(move: Mapping[str, Any]) -> Iterator[str]:
    yield f"  moves    {move['have']}"
    yield f"  into     {move['need']}"
    yield f"  made by  {move['made_by'] or 'what comes in'}"
    yield f"  for      {', '.join(move['needed_by']) or 'the host'}"
    for change in move["changes"]:
        for side in ("before", "after"):
            yield from (f"  {change['dimension']} {side}: {line}" for line in _side(change[side]))
    yield from (f"  pays {debt['kind']} over {debt['axis']}: {_why(debt)}" for debt in move["pays"])
    if move["pools"]:
        yield f"  from pool {move['pools'][0]} to pool {move['pools'][1]}"


def _side(side: Mapping[str, Any]) -> Iterator[str]:
    yield from map(_cut, side["cuts"])
    if not side["cuts"]:
        yield f"whole: {_why(side)}" if side.get("why") else "whole"


def _cut(cut: Mapping[str, Any]) -> str:
    order = f", {cut['order']}" if "order" in cut else ""
    return f"{cut['axis']} cuts it into {cut['parts']}{order}: {_why(cut)}"


def _why(said: Mapping[str, Any]) -> str:
    return f"{said['why']} ({said['where']})" if said["where"] else str(said["why"])
