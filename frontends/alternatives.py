"""Alternatives of a strategy: each is the whole file with what the alternative says beside it.

    mesh: {hg: gpus, ds: 2}
    rules: [A]
    alternatives:
      gather q and k: {rules: [B]}      →  {mesh: {hg: gpus, ds: 2}, rules: [A, B]}
      reduce scores:  {rules: [C]}      →  {mesh: {hg: gpus, ds: 2}, rules: [A, C]}

Mappings are joined, lists appended, anything else is replaced.
"""

from __future__ import annotations

from typing import Any

from ..diagnostics import Diagnostic, Refused
from .parsed import Keys, Parsed, shown

KEY = "alternatives"
MOST = 16
LONGEST = 60


def variants(parsed: Parsed) -> dict[str, Parsed]:
    """By name the files that a file with alternatives stands for; none where it lists none. Refused where they are not
    a mapping of names to what each says.
    """
    if not isinstance(parsed.data, dict) or KEY not in parsed.data:
        return {}
    listed = parsed.data[KEY]
    if not isinstance(listed, dict) or not 1 <= len(listed) <= MOST or not all(map(_is_alternative, listed.items())):
        expected = f"1 to {MOST} names (at most {LONGEST} characters), each with a mapping of what it says"
        raise Refused(Diagnostic("wrong-type", f"{KEY} has a wrong value", parsed.where(KEY), expected, shown(listed)))
    common = Parsed(parsed.name, {key: value for key, value in parsed.data.items() if key != KEY}, parsed.lines)
    return {name: _joined(common, parsed.under(KEY, name)) for name in listed}


def _is_alternative(item: tuple[object, object]) -> bool:
    name, says = item
    return isinstance(name, str) and 0 < len(name) <= LONGEST and name.isprintable() and isinstance(says, dict)


def _joined(one: Parsed, other: Parsed) -> Parsed:
    lines: dict[Keys, int] = {at: line for at, line in one.lines.items() if at[:1] != (KEY,)}
    return Parsed(one.name, _value(one.data, other.data, (), (), other.lines, lines), lines)


def _value(one: Any, other: Any, at: Keys, source: Keys, known: dict[Keys, int], lines: dict[Keys, int]) -> Any:
    """Both values as one, which stands `at` in what is made and at `source` in the second; fills in where its keys
    stand.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = {key: (one.get(key), value) for key, value in other.items()}
        new = {k: _value(mine, its, (*at, k), (*source, k), known, lines) for k, (mine, its) in pairs.items()}
        return {**one, **new}
    if isinstance(one, list) and isinstance(other, list):
        for number in range(len(other)):
            _placed((*at, len(one) + number), (*source, number), known, lines)
        return [*one, *other]
    _placed(at, source, known, lines)
    return other


def _placed(at: Keys, source: Keys, known: dict[Keys, int], lines: dict[Keys, int]) -> None:
    size = len(source)
    lines.update({(*at, *way[size:]): line for way, line in known.items() if way[:size] == source})
