"""A paper with something left open, read beside rules of a house."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from dagc import cli

SERVED = """\
# Experts of their own

## Setup
We serve a decoder of 4 layers, model width 64, 4 heads, and 4 experts per layer with top-2 routing. The hidden size of
an expert is 128 (two matrices, GELU). The batch holds 16 sequences of 32 tokens in BF16. We use 4 A100 GPUs.

## Method
Every GPU hosts exactly one expert of each layer: tokens are sent to the GPU of their expert by an all-to-all and come
back.
Our baseline uses TP=2, PP=2.
"""


def read(folder: Path, rules: str, *flags: str) -> str:
    known = folder / "known"
    known.mkdir(exist_ok=True)
    (known / "rules.md").write_text(rules)
    (known / "gpus.md").write_text("# GPUs\n\nThe A100 has 40 GB of memory.\n")
    (folder / "paper.md").write_text(SERVED)
    done = CliRunner().invoke(cli.main, ["read", str(folder / "paper.md"), "--knowledge", str(known), *flags])
    assert done.exit_code == 0, done.output
    return " ".join(done.output.replace("\n# ", " ").split())
