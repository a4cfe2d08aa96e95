"""An OpenAI-compatible server (vLLM, SGLang, llama.cpp, a provider): POST {base}/chat/completions.

The only network that dagc ever uses, and only where it is asked for. Whatever goes wrong is an `Unanswered` that says
why; nothing of what a server sends is shown but as one printable line.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from ....diagnostics import Diagnostic, Refused
from ...json_reader import parse_json
from ...parsed import shown

BASE_URL = "https://api.openai.com/v1"
MAX_ANSWER = 2_000_000
"""Bytes of an answer."""
_UNKNOWN_FORMAT = (400, 404, 415, 422, 501)
"""What servers say that know no `json_schema`."""


class Unanswered(Exception):
    """There is no answer; the text says why."""


@dataclass(frozen=True)
class Endpoint:
    """Where to ask: the base of the URLs, the model's name there, a key, and seconds that an answer may take."""

    model: str
    base_url: str = BASE_URL
    key: str = field(default="", repr=False)
    timeout: float = 120.0

    @staticmethod
    def of(model: str | None, base_url: str | None, timeout: float = 120.0) -> Endpoint:
        """Flags, else the environment (OPENAI_MODEL, OPENAI_BASE_URL, OPENAI_API_KEY). Refused where no model is named,
        the address is none, or the client is not installed.
        """
        named = model or os.environ.get("OPENAI_MODEL", "")
        address = base_url or os.environ.get("OPENAI_BASE_URL") or BASE_URL
        if not named:
            raise Refused(_missing("no model is named", "--llm-model NAME, or OPENAI_MODEL"), usage=True)
        if not address.startswith(("http://", "https://")):
            raise Refused(_missing(f"{shown(address)} is no address", "--llm-base-url http://…/v1"), usage=True)
        _client()
        return Endpoint(named, address.rstrip("/"), os.environ.get("OPENAI_API_KEY", ""), timeout)

    def ask(self, messages: list[dict[str, str]], schema: Mapping[str, Any]) -> str:
        """The text of the answer. Servers that know no JSON Schema are asked again for any JSON object."""
        whole = {"type": "json_schema", "json_schema": {"name": "experiment", "strict": True, "schema": schema}}
        status, body = self._post(messages, whole)
        if status in _UNKNOWN_FORMAT:
            status, body = self._post(messages, {"type": "json_object"})
        if status != 200:
            raise Unanswered(f"the server says {status}: {_line(body)}")
        return _content(body)

    def _post(self, messages: list[dict[str, str]], form: Mapping[str, Any]) -> tuple[int, bytes]:
        httpx = _client()
        body = {"model": self.model, "messages": messages, "response_format": form, "temperature": 0}
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        url, ends = f"{self.base_url}/chat/completions", time.monotonic() + self.timeout
        try:
            with httpx.stream("POST", url, json=body, headers=headers, timeout=self.timeout) as response:
                return response.status_code, _within(response.iter_bytes(), ends)
        except httpx.TimeoutException as error:
            raise Unanswered(f"no answer within {self.timeout:g} seconds") from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise Unanswered(f"the server cannot be asked: {_line(str(error).encode())}") from error


def _within(chunks: Any, ends: float) -> bytes:
    """All bytes, if they are not too many and come in time."""
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > MAX_ANSWER:
            raise Unanswered(f"the answer is larger than {MAX_ANSWER:,} bytes")
        if time.monotonic() > ends:
            raise Unanswered("the answer takes too long")
    return bytes(found)


def _content(body: bytes) -> str:
    """The message of a completion."""
    try:
        data = parse_json(body.decode("utf-8", "replace"), "the answer").data
        choice = data["choices"][0]
        content = choice["message"].get("content")
    except Refused as refused:
        raise Unanswered(f"the answer {refused.diagnostics[0].problem}") from refused
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise Unanswered("the answer is no chat completion") from error
    if not isinstance(content, str) or not content.strip():
        raise Unanswered("the model refused, or gave no text")
    if choice.get("finish_reason") == "length":
        raise Unanswered("the answer was cut off: the model reached its length")
    return content


def _line(body: bytes) -> str:
    """What a server says as one short printable line."""
    text = " ".join(body[:400].decode("utf-8", "replace").split())
    return shown(text, quoted=False)


def _client() -> ModuleType:
    """The HTTP library, imported only where it is used."""
    try:
        import httpx
    except ImportError as error:
        raise Refused(_missing("its HTTP client is not installed", "pip install 'dagc[llm]'"), usage=True) from error
    return httpx


def _missing(problem: str, hint: str) -> Diagnostic:
    return Diagnostic("language-model", f"the language model cannot be asked: {problem}", "--reader llm", hint=hint)
