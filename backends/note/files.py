"""Where everything is, as links from the note."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .deployed import Deployed
from .markdown import escaped, link, table

VIEWS = (("", "every GPU"), ("spmd", "one lane for all GPUs alike"), ("representative", "first, second and last GPU"))
OTHERS = (
    ("logical", "undivided program"),
    ("ir", "lowered program"),
    ("report", "figures, certificate"),
    ("devices", "what each GPU holds"),
)


def lines(deployed: Sequence[Deployed]) -> Iterator[str]:
    """A row per deployment."""
    head = ("model", "deployment", *(said for _, said in VIEWS), "other files")
    yield from table(head, map(_row, deployed))


def _row(each: Deployed) -> list[str]:
    said = each.report
    views = [[f"{name}{'_' * bool(name)}{kind}" for kind in ("dot", "svg")] for name, _ in VIEWS]
    links = [
        " ".join(link(key.rpartition("_")[2].upper(), said[key]) for key in keys if said.get(key)) for keys in views
    ]
    others = ", ".join(link(text, said[key]) for key, text in OTHERS if said.get(key))
    return [escaped(said["model"]), escaped(each.name), *links, others]
