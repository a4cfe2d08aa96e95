"""Bytes of a file, within limits, and their text. Everything that cannot be read is Refused, with what would work."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path

from ....diagnostics import Diagnostic, Refused

MAX_TEXT = 2_000_000
MAX_PDF = 40_000_000
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_DECLARED = re.compile(rb"\\usepackage\s*\[\s*(latin1|latin9|ansinew|cp1252)\s*\]\s*\{inputenc\}")
_CODEC = {b"latin1": "latin-1", b"latin9": "iso8859-15", b"ansinew": "cp1252", b"cp1252": "cp1252"}
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "ˆ": "^"})
"""What text that was taken from a PDF may hold for letters and for the sign of a power."""
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def bytes_of(path: Path) -> bytes:
    """All bytes of a file: at most MAX_PDF of a PDF and MAX_TEXT of anything else, and not none."""
    name = str(path)
    if not os.path.isfile(path):
        problem = "is a folder, not a paper" if os.path.isdir(path) else "no such file"
        raise Refused(Diagnostic("file", problem, name))
    try:
        with path.open("rb") as file:
            data = file.read(8)
            limit = MAX_PDF if data.startswith(b"%PDF") else MAX_TEXT
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise Refused(_too_large(name, limit, size))
            data += file.read(limit)
    except OSError as error:
        raise Refused(Diagnostic("file", f"cannot be read: {error.strerror}", name)) from error
    if not data.strip():
        raise Refused(Diagnostic("empty-document", "holds no text", name, "a paper", f"{len(data)} bytes"))
    return data


def text_of(data: bytes, name: str) -> str:
    """Text with `\\n` between lines: UTF-8, UTF-16 with its mark, or the encoding that a LaTeX source declares."""
    codec = next((codec for bom, codec in _BOMS if data.startswith(bom)), "")
    if not codec and (found := _BINARY.search(data)):
        problem = f"is not text (byte {found.start()} is {found[0][0]:#04x})"
        raise Refused(Diagnostic("file", problem, name, "Markdown, LaTeX, plain text, PDF, JSON or YAML"))
    declared = _DECLARED.search(data[:5000])
    codec = codec or (_CODEC[declared[1]] if declared else "utf-8")
    try:
        text = data.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"is not {codec.upper()} text (byte {error.start})"
        hint = f"convert it: iconv -f WINDOWS-1252 -t UTF-8 {Path(name).name}"
        raise Refused(Diagnostic("file", problem, f"{name}:{line}", "UTF-8", hint=hint)) from error
    return re.sub("\r\n?|\f", "\n", text.translate(_LIGATURES))


def _too_large(name: str, limit: int, size: int) -> Diagnostic:
    return Diagnostic("too-large", "is larger than any paper", name, f"at most {limit:,} bytes", f"{size:,} bytes")
