"""What stands behind the graph: module bands, repeat brackets, title, legend, and what was left out between lanes."""

from __future__ import annotations

from itertools import pairwise

from . import legend
from .along import Extent
from .bands import Bracket, bands, brackets
from .lanes import Layout
from .look import BAND_FILLS, CLUSTER_LINE, GAP_FILL, INK, TEXT
from .metrics import BOLD, text_width
from .page import LINE, MARGIN, Page
from .xdot import Canvas

_EVERY = 1600
"""A name is written again after so many points, so that it is seen wherever one looks."""
_EDGE = 8


def background(layout: Layout, page: Page) -> str:
    """The text of the graph's `_background`."""
    canvas = Canvas()
    _bands(canvas, layout, page)
    _gaps(canvas, layout, page)
    _brackets(canvas, layout, page)
    _title(canvas, page)
    legend.draw(canvas, page.entries, MARGIN, page.legend_middle)
    return str(canvas)


def _bands(canvas: Canvas, layout: Layout, page: Page) -> None:
    found = bands(layout)
    ranges = [_range(layout, extent) for _, extent in found]
    for at, ((name, _), (begin, end)) in enumerate(zip(found, ranges, strict=True)):
        low, high = page.xy(begin, -_EDGE), page.xy(end, layout.across.width + _EDGE)
        canvas.box(low, high, BAND_FILLS[at % len(BAND_FILLS)])
        for spot in _repeated(begin, end):
            if page.narrow:
                x, y = page.xy(spot, -_EDGE - 6)
                canvas.text((x, y - TEXT.band), name, TEXT.band, bold=True, align=1)
            else:
                x, y = page.xy(spot, -_EDGE - 6)
                canvas.text((x + 4, y), name, TEXT.band, bold=True)


def _range(layout: Layout, extent: Extent) -> tuple[int, int]:
    """From half a gap before the first level to half a gap behind the last, within the lanes' borders."""
    flow = layout.along
    begin = flow.start[extent.first] - flow.space.gap // 2
    return begin, flow.end[extent.last] + flow.space.gap // 2


def _repeated(begin: int, end: int) -> range:
    return range(begin + 6, max(begin + 7, end - _EVERY // 2), _EVERY)


def _brackets(canvas: Canvas, layout: Layout, page: Page) -> None:
    for out, found in zip(page.brackets, brackets(layout), strict=True):
        for bracket in found:
            _bracket(canvas, layout, page, out, bracket)


def _bracket(canvas: Canvas, layout: Layout, page: Page, out: int, bracket: Bracket) -> None:
    """A bracket beside its stretch of the flow, so far outside of the innermost."""
    begin, end = layout.along.start[bracket.extent.first], layout.along.end[bracket.extent.last]
    beside = (layout.across.width + 14 + out, layout.across.width + 24 + out)
    near, far = beside if page.narrow else (-36 - out, -46 - out)
    corners = [page.xy(begin, near), page.xy(begin, far), page.xy(end, far), page.xy(end, near)]
    canvas.line(corners, INK, width="1.5")
    for spot in _repeated(begin, end) if not page.narrow else _tall(begin, end):
        x, y = page.xy(spot, far)
        if page.narrow:
            canvas.text((x + 8, y), bracket.times, TEXT.title, bold=True)
            canvas.text((x + 8, y - 16), bracket.of, TEXT.band, bold=True)
        else:
            canvas.text((x + 4, y + 5), f"{bracket.times}   {bracket.of}", TEXT.band, bold=True)


def _tall(begin: int, end: int) -> list[int]:
    """Places of a text along a bracket: the middle of each of its stretches."""
    count = max(1, (end - begin) // _EVERY)
    return [begin + (end - begin) * (2 * i + 1) // (2 * count) for i in range(count)]


def _gaps(canvas: Canvas, layout: Layout, page: Page) -> None:
    across = layout.across
    for after, text in layout.scene.view.gaps.items():
        slot = across.slots.of_lane[after + 1]
        extent = next(extent for lanes, extent in layout.pools if after in lanes)
        end = int(across.begin[slot]) - layout.along.space.lane // 2
        begin = end - int(across.gutter[slot]) + layout.along.space.lane
        low = page.xy(layout.along.begin(extent), begin)
        high = page.xy(layout.along.finish(extent), end)
        canvas.box(low, high, GAP_FILL, CLUSTER_LINE, "dashed")
        for spot in _calm(layout, extent):
            x, y = page.xy(spot, (begin + end) // 2)
            for number, part in enumerate(_parts(text, page)):
                canvas.text((x, y - number * 14), part, TEXT.note, bold=True, align=0)


def _parts(text: str, page: Page) -> list[str]:
    return text.replace(": ", ":\n").split("\n") if page.narrow else [text]


def _calm(layout: Layout, extent: Extent) -> list[int]:
    """Middles of the stretches between buses: there nothing crosses the gap between lanes."""
    noisy = [layout.level[i] for i, spot in layout.spots.items() if spot.on_bus]
    inside = sorted({level for level in noisy if extent.first <= level <= extent.last})
    flow, spots = layout.along, []
    edges = [(flow.begin(extent),) * 2, *((flow.start[i], flow.end[i]) for i in inside), (flow.finish(extent),) * 2]
    for (_, begin), (end, _) in pairwise(edges):
        if end - begin > 90:
            spots += _tall(begin, end)
    return spots


def _title(canvas: Canvas, page: Page) -> None:
    size = TEXT.title
    while size > TEXT.node and text_width(page.heading[0], size) * BOLD > page.width - 2 * MARGIN:
        size -= 1
    canvas.text((MARGIN, page.title_base), page.heading[0], size, bold=True)
    for number, line in enumerate(page.heading[1:], 1):
        canvas.text((MARGIN, page.title_base - 4 - LINE * number), line, TEXT.note)
