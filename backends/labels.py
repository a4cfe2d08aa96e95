"""What a node says, line by line, and where the lines break.

    Q projection
    GPU: 3
    Input: [batch_size=8, seq_len=1024, hidden=4096]
    Output: [batch_size=8, seq_len=1024, heads=32, d_k=128]
    Weight: [hidden=4096, heads=32, d_k=128]

Tensors break only after a comma, so that `Input: […]` still reads as one list.
"""

from __future__ import annotations

import textwrap

from ..ir.deployment import Move, Port, Row

_UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def brackets(row: Row, ports: tuple[Port, ...], whole: bool = False) -> str:
    """The tensors of one side, as attributes and labels write them: `[a=1, b=2], [c=3]`."""
    return ", ".join(_texts(row, ports, whole))


def _texts(row: Row, ports: tuple[Port, ...], whole: bool = False) -> list[str]:
    """Of a value in unequal parts with how many there are of each size: `[a=3] × 2`, `[a=2] × 6`."""
    return [port.text(whole) + f" × {n}" * (n > 1) for port, n in zip(ports, row.times(ports), strict=True)]


def head_lines(row: Row, width: int) -> list[str]:
    """The operator's name, and of which micro-batch and chunk it is."""
    return _wrap(row.title if row.run is None else f"{row.title}, {row.run}", width)


def tail_lines(row: Row, width: int) -> list[str]:
    """Everything below the lines that say where the node runs."""
    lines: list[str] = []
    for name, ports in (
        ("Input", row.inputs),
        ("Output", row.outputs),
        ("Weight", row.parameters),
        ("State", row.state),
    ):
        if ports:
            lines += _tensors(f"{name}: ", _texts(row, ports), width)
    for merged in dict.fromkeys(port.merges for port in (*row.inputs, *row.outputs) if port.merges):
        lines += _wrap(merged, width)
    lines += _wrap(sending(row.move), width) if row.move else []
    return lines + _wrap(f"in {row.steps} steps", width) if row.steps > 1 else lines


def place_lines(text: str, width: int) -> list[str]:
    """The line that says which GPUs: `GPU: all GPUs (0-15)`."""
    return _wrap(f"GPU: {text}", width)


def spread_lines(first: str, last: str, width: int) -> list[str]:
    """What only the place decides: `experts 4-7`; where a node stands for many, the first and the last."""
    return _wrap(first if first == last else f"{first} … {last}", width)


def sending(move: Move) -> str:
    """`all-to-all over ep: sends 1.88 GB per GPU`; of a transfer also what is received, where that is not as much."""
    over = f" over {', '.join(move.axes)}" if move.axes else ""
    received = f", receives {human(move.received[1])}" if move.received else ""
    most = "at most " if move.least is not None else ""
    return f"{move.collective}{over}: sends {most}{human(move.bytes)}{received} per GPU"


def human(size: int | str) -> str:
    """Bytes for people; symbolic ones stay as they are.

    >>> human(1_879_048_192)
    '1.88 GB'
    """
    if isinstance(size, str):
        return f"{size} bytes"
    scale, unit = next(((s, u) for s, u in _UNITS if size >= s), (1, "B"))
    return f"{size / scale:.3g} {unit}" if scale > 1 else f"{size} B"


def _tensors(name: str, texts: list[str], width: int) -> list[str]:
    """One line if it fits, else broken between tensors, else inside them after commas."""
    whole = name + ", ".join(texts)
    if len(whole) <= width:
        return [whole]
    words = [f"{text}," for text in texts]
    words[-1] = words[-1][:-1]
    return [line for i, word in enumerate(words) for line in _after_commas((name if i == 0 else "") + word, width)]


def _after_commas(text: str, width: int) -> list[str]:
    pieces = text.split(", ")
    lines = [pieces[0]]
    for piece in pieces[1:]:
        if len(lines[-1]) + 2 + len(piece) < width:
            lines[-1] += f", {piece}"
        else:
            lines[-1] += ","
            lines.append(piece)
    return lines


def _wrap(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
