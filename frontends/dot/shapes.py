"""Graphviz's shapes → what they say a node is."""

from __future__ import annotations

from ...ir.drawing import Form

_SHAPES = {
    **dict.fromkeys(("ellipse", "oval", "circle", "doublecircle", "egg"), Form.COMM),
    **dict.fromkeys(
        ("box", "rect", "rectangle", "square", "record", "Mrecord", "box3d", "component", "Msquare"), Form.COMPUTE
    ),
    "parallelogram": Form.ROUTE,
}
NOTES = {"note", "plaintext", "none", "plain", "tab", "folder", "underline"}


def form(shape: str, sides: str = "", skew: str = "", table: bool = False) -> Form:
    """What a shape says; a node without one is an ellipse, as Graphviz draws it; a table draws its own rectangle."""
    if shape == "polygon" and sides in ("", "4"):
        return Form.ROUTE if skew.strip("0.") else Form.COMPUTE
    if shape in NOTES and table:
        return Form.COMPUTE
    return _SHAPES.get(shape or "ellipse", Form.OTHER)
