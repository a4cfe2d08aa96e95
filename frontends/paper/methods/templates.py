"""Strategy texts and bodies of the table with values in place of {names}.

>>> filled({"mesh": {"hg": "{hg}"}, "about": "{hg} groups"}, {"hg": 8})
{'mesh': {'hg': 8}, 'about': '8 groups'}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"\{(\w+)\}")


def filled(template: Any, values: Mapping[str, object]) -> Any:
    """The template with values; a text that is nothing but a name becomes the value itself. A key that ends in `?` is
    left out where a name in it has no value. KeyError for another unknown name.
    """
    if isinstance(template, dict):
        return {key.rstrip("?"): filled(value, values) for key, value in template.items() if _asked(key, value, values)}
    if isinstance(template, list):
        return [filled(value, values) for value in template]
    if not isinstance(template, str):
        return template
    if match := _NAME.fullmatch(template):
        return values[match[1]]
    return _NAME.sub(lambda match: str(values[match[1]]), template)


def missing(template: Any, values: Mapping[str, object]) -> list[str]:
    """The names that a template asks for and no one gives."""
    if isinstance(template, dict):
        kept = [value for key, value in template.items() if _asked(key, value, values)]
        return sorted({name for value in kept for name in missing(value, values)})
    return sorted(set(_NAME.findall(str(template))) - set(values))


def _asked(key: str, value: Any, values: Mapping[str, object]) -> bool:
    return not key.endswith("?") or set(_NAME.findall(str(value))) <= set(values)
