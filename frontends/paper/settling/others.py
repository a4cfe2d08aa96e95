"""Other readings and repairs of a paper, beside the one that is taken: what they are called, and what is said of each.

head-slice.exactness-literal      softmax over each slice, as written      honours line 22; no equal of the model
tp12-uneven, pp=3,tp=4, …         repairs of tp=12 on 12 GPUs              breaks line 7
"""

from __future__ import annotations

from dataclasses import replace

from ..facts import Method, Option, Point, Reading, Remark, Verdict
from ..methods.readings import REPAIR


def same(one: Method, other: Method) -> bool:
    """Do two methods deploy alike?"""
    return (one.body, one.strategy if one.body is None else "") == (
        other.body,
        other.strategy if other.body is None else "",
    )


def called(method: Method, point: Point, option: Option) -> Method:
    """A method of another reading under a name of its own."""
    if method.body is None:
        return replace(method, role="compared")
    name = f"{method.strategy}.{point.id}-{option.name}".replace("=", "").replace(",", "-")
    return replace(method, name=name, strategy=name, role="compared")


def considered(method: Method, point: Point, option: Option, reading: Reading) -> Remark:
    """What a reading is, the lines of the paper that it honours or breaks, and the flag that takes it alone."""
    own = called(method, point, option).strategy
    lines = tuple(source for remark in reading.remarks if remark.about == point.id for source in remark.sources)
    lines = lines or method.sources[:1]
    said = f"{_keeps(point, option)} {', '.join(dict.fromkeys(map(str, lines)))}"
    about = f"{point.id}={option.name}"
    return Remark(Verdict.COMPARED, about, f"{own}: {option.about}; {said}", lines, instead=(option.flag,))


def _keeps(point: Point, option: Option) -> str:
    if point.id.startswith(REPAIR):
        return "breaks" if "→" in option.about or " not " in option.about else "honours"
    return "honours" if "as written" in option.about else "does not contradict"
