"""The command line: flags → driver → exit code. The only package that knows click; a command is a file.

Exit codes: 0 fine · 1 the description, strategy or graph is wrong · 2 usage · 3 a bug in dagc.
Each command imports what it needs when it runs, so that `dagc --help` stays fast.
"""

from __future__ import annotations

import click

from .. import __version__
from .explain import explain
from .grade import grade
from .group import Group
from .lint import lint
from .lower import lower
from .models import models
from .opt import opt
from .read import read
from .schema import schema
from .strategies import strategies
from .verify import verify


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="dagc")
def main() -> None:
    """Compiles a model, a cluster and a parallel strategy into the proved, drawn deployment DAG."""


for _command in (lower, read, verify, lint, grade, opt, models, strategies, schema, explain):
    main.add_command(_command)
