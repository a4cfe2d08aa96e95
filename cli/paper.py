"""The flags that say how a paper is read, for every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..diagnostics import Diagnostic, Refused

if TYPE_CHECKING:
    from ..frontends.paper.facts import Point
    from ..frontends.paper.llm import Endpoint
    from ..papers import Asked

OPTIONS: tuple[Callable[[Callable[..., Any]], Callable[..., Any]], ...] = (
    click.option(
        "--reading",
        "picked",
        multiple=True,
        metavar="POINT=OPTION",
        help="Where a paper can be read in two ways: which is meant. May be repeated.",
    ),
    click.option(
        "--knowledge",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Files that fill what a paper leaves out, and rules of a house. Opened read-only.",
    ),
    click.option(
        "--reader",
        type=click.Choice(["deterministic", "llm"]),
        default="deterministic",
        show_default=True,
        help="llm: a language model helps, and is not trusted. The only reader that uses a network.",
    ),
    click.option("--llm-model", metavar="NAME", help="The model to ask. Default: $OPENAI_MODEL."),
    click.option(
        "--llm-base-url",
        metavar="URL",
        help="An OpenAI-compatible server, up to /v1. Default: $OPENAI_BASE_URL. Its key: $OPENAI_API_KEY.",
    ),
    click.option("--llm-timeout", type=click.FloatRange(min=0, min_open=True), default=120.0, help="Seconds."),
    click.option(
        "--ask",
        is_flag=True,
        help="Ask, where a paper can be read in two ways and does not say which is meant.",
    ),
    click.option(
        "--all-readings",
        is_flag=True,
        help="Every other way to read a paper, and every repair, as further deployments.",
    ),
    click.option(
        "--strict",
        is_flag=True,
        help="Refuse a paper's methods that are impossible as written, rather than draw the nearest that are possible.",
    ),
)


def reads_papers(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these flags."""
    return reduce(lambda made, option: option(made), reversed(OPTIONS), command)


def asked_of(flags: dict[str, Any]) -> Asked:
    """What the flags ask for; they are taken out of `flags`. Refused where an answer names no option."""
    from ..papers import Asked

    pairs = [text.partition("=") for text in flags.pop("picked")]
    if wrong := ["".join(pair) for pair in pairs if not (pair[0] and pair[2])]:
        problem = f"{wrong[0][:80]} does not say which option is meant"
        raise Refused(Diagnostic("unknown-value", problem, "--reading", "POINT=OPTION"), usage=True)
    picked = {point: option for point, _, option in pairs}
    ask = _ask if flags.pop("ask") else None
    return Asked(picked, flags.pop("knowledge"), _endpoint(flags), flags.pop("strict"), ask, flags.pop("all_readings"))


def _ask(point: Point) -> str:
    """Puts a question to the user, the option that would be taken as the default."""
    for option in point.options:
        click.echo(f"  {option.name:<20} {option.about}", err=True)
    names = click.Choice([option.name for option in point.options])
    return str(click.prompt(point.question, type=names, default=point.chosen, err=True))


def _endpoint(flags: dict[str, Any]) -> Endpoint | None:
    """The language model to ask, if one is to help. Refused where none is named."""
    model, url, timeout = (flags.pop(name) for name in ("llm_model", "llm_base_url", "llm_timeout"))
    if flags.pop("reader") != "llm":
        return None
    from ..frontends.paper.llm import Endpoint

    return Endpoint.of(model, url, timeout)
