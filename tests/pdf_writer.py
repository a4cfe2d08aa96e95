"""Writes a PDF of lines of Helvetica at given places: enough to test what a reader makes of pages."""

from __future__ import annotations

from collections.abc import Sequence

Text = tuple[float, float, float, str]
"""Left, baseline, font size (negative: bold), characters of Latin-1."""


def pdf(pages: Sequence[Sequence[Text]]) -> bytes:
    """A PDF of A4 pages."""
    kids = " ".join(f"{5 + 2 * page} 0 R" for page in range(len(pages)))
    fonts = "<< /Font << /F1 3 0 R /F2 4 0 R >> >>"
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for number, texts in enumerate(pages):
        content = "\n".join(map(_shown, texts))
        box = "/MediaBox [0 0 595 842]"
        objects.append(f"<< /Type /Page /Parent 2 0 R {box} /Resources {fonts} /Contents {6 + 2 * number} 0 R >>")
        objects.append(f"<< /Length {len(content.encode('latin-1'))} >>\nstream\n{content}\nendstream")
    return _file(objects)


def _shown(text: Text) -> str:
    left, base, size, characters = text
    escaped = characters.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT /F{1 if size > 0 else 2} {abs(size)} Tf {left} {base} Td ({escaped}) Tj ET"


def _file(objects: Sequence[str]) -> bytes:
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(data)}\n%%EOF\n"
    return data + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")
