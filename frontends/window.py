"""Which window of past positions the attention of a configuration sees. dagc compiles one window for all layers."""

from __future__ import annotations

from .config_keys import ConfigKeys


def window_of(keys: ConfigKeys) -> int | None:
    """The window of all layers, or None. A window that only some layers have is refused as unsupported.

    Qwen3 with use_sliding_window, sliding_window = 4096 and max_window_layers = 0 → 4096; with 20 of 36 → refused.
    """
    rule = keys.architecture.window
    if rule == "never" or (rule != "always" and not keys.get("use_sliding_window")):
        return _unless_listed(keys, None)
    window, layers = keys.get("sliding_window"), keys.get("num_hidden_layers")
    if window is None or layers is None:
        return None
    if rule == "alternating":
        problem = f"{keys.name} has the window in every second layer only"
        keys.refuse("unsupported", "use_sliding_window", problem, "false")
    if rule == "from_layer" and not keys.states("layer_types"):
        return _from_layer(keys, window, layers)
    return _unless_listed(keys, window)


def _from_layer(keys: ConfigKeys, window: int, layers: int) -> int | None:
    first = keys.get("max_window_layers")
    if first is not None and 0 < first < layers:
        problem = "only some layers would have the window"
        keys.refuse("unsupported", "max_window_layers", problem, f"0, or at least {layers}")
    return None if first is None or first >= layers else window


def _unless_listed(keys: ConfigKeys, window: int | None) -> int | None:
    """The window, if the kinds of attention that the layers list (where they do) all agree with it."""
    kinds = set(keys.get("layer_types") or ()) if keys.states("layer_types") else set()
    if not kinds:
        return window
    if kinds == {"full_attention"}:
        return None
    if kinds == {"sliding_attention"} and window is not None:
        return window
    keys.refuse("unsupported", "layer_types", "layers differ in their attention", "full_attention in all layers")
    return None
