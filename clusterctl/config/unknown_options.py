"""What to say about an option that its section does not have: the right section, or the right name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.config.settings import SECTION_MODELS
from clusterctl.config.starcluster import retired_options
from clusterctl.errors import ClusterctlError
from clusterctl.plugin import loader
from clusterctl.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.options import Section

_MOST_NAMES = 12


def explain_unknown_option(key: str, model: type[Section]) -> str:
    """Return the message about an option that the model of its section does not have."""
    own = [name.upper() for name in model.model_fields]
    near = did_you_mean(key, own)
    place = find_place(key, model)
    if place:
        return f"unknown option{near}; it belongs into {place}"
    if near:
        return f"unknown option{near}"
    for place, options in _options_elsewhere(model):
        similar = did_you_mean(key, [option.upper() for option in options])
        if similar:
            return f"unknown option{similar[:-2]} in {place}?)"
    if len(own) > _MOST_NAMES:
        return "unknown option; the file that `clusterctl config init` writes has all that there are"
    return "unknown option" + (f"; there are {', '.join(own)}" if own else "; this section has no options")


def find_place(key: str, model: type[Section]) -> str:
    """Return the headers of the sections that have an option, but for those of this model; empty if none has it."""
    return " or ".join(dict.fromkeys(place for place, options in _options_elsewhere(model) if key in options))


def _options_elsewhere(model: type[Section]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the other sections that there may be, each with its options."""
    for title, other in SECTION_MODELS.items():
        if other is not model:
            yield f"[{title}]", frozenset(other.model_fields)
    yield "[plugin NAME]", frozenset({"setup_class"})
    for kind, key in retired_options():
        bundled = kind.partition(":")[2]
        title = f"plugin {bundled}" if bundled else next(title for title in SECTION_MODELS if title.startswith(kind))
        yield f"[{title}]", frozenset({key})
    for name in loader.installed_names():
        try:
            other = loader.options_model(loader.find_plugin_class(name))
        except ClusterctlError:  # of somebody else, and broken
            continue
        if other is not model:
            yield f"[plugin {name}]", frozenset(other.model_fields)
