"""Modules between passes: `--dump-ir DIR` and `--print-ir-after-all`. Every dump parses back."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from .backends.names import safe
from .diagnostics import Diagnostic, Refused
from .job import Job
from .pipeline import text_of


@dataclass
class Dumps:
    """Collects the module after every pass; files appear together, each whole, when all is done."""

    folder: Path | None
    to_stderr: bool
    _texts: dict[Path, str] = field(default_factory=dict)

    def watch(self, job: Job, name: str, module: ModuleOp) -> None:
        if self.folder is None and not self.to_stderr:
            return
        text = text_of(module)
        if self.to_stderr:
            sys.stderr.write(f"// IR of {job.model.name}, {job.name}, after {name}\n{text}")
        if self.folder is not None:
            home = self.folder / safe(job.model.name) / safe(job.name)
            if name == "logical":  # it may be lowered anew, in micro-batches
                self._texts = {path: text for path, text in self._texts.items() if path.parent != home}
            number = sum(path.parent == home for path in self._texts)
            self._texts[home / f"{number:02}-{name}.mlir"] = text

    def write(self) -> None:
        """Write what was collected: each file aside first, then renamed. Refused where that cannot be."""
        try:
            for path, text in self._texts.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                aside = path.with_suffix(".mlir.partial")
                aside.write_text(text)
                aside.replace(path)
        except OSError as error:
            problem = f"cannot write the dumps: {error.strerror}"
            raise Refused(
                Diagnostic("file", problem, str(self.folder), hint="choose another --dump-ir"), usage=True
            ) from error
