"""The base of all INI section models. Options are declared once; parsing, checking and docs follow from that."""

import os
import re
import shlex
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Generic, TypeVar, Union, cast, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from clusterctl.files import expand_path
from clusterctl.secret import Secret
from clusterctl.text import comma_list, did_you_mean

__all__ = [
    "CommaList",
    "ExpandedPath",
    "Field",
    "Flag",
    "PathList",
    "SecretText",
    "Section",
    "Span",
    "TypedValues",
    "WordList",
    "expand_path",
    "is_file",
    "is_list",
    "is_secret",
    "parse_span",
    "quote_shortened",
    "read_section",
]

S = TypeVar("S", bound="Section")
V = TypeVar("V")

_FLAGS = {
    "1": True,
    "yes": True,
    "true": True,
    "on": True,
    "0": False,
    "no": False,
    "false": False,
    "off": False,
}

_INDENTED = "indented"

_EXPECTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_parsing": "a number",
    "decimal_parsing": "a number",
    "finite_number": "a number",
    "bool_parsing": "yes or no",
    "greater_than": "a number greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "a number less than {lt}",
    "less_than_equal": "at most {le}",
}


class Section(BaseModel):
    """An INI section with one field for each option. Unknown keys are refused; an empty value means the default.

    A subclass declares all options of a plugin::

        class Options(Section):
            paths: CommaList = Field((), description="folders to share")
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def _check_raw_text(cls, value: object, info: ValidationInfo) -> object:
        """Refuse a value that contains another option's line, and replace an empty value by the default."""
        if not isinstance(value, str) or info.field_name is None:
            return value
        for line in str.__str__(value).splitlines()[1:]:
            # An indented line continues the value before it: an option must not get lost in another one.
            option_line = re.match(r"\s*(\w+)\s*[=:]", line)
            if option_line and option_line[1].lower() in cls.model_fields:
                message = f"the line {option_line[1].upper()} below it is indented and so part of it; unindent it"
                raise PydanticCustomError(_INDENTED, message)
        field = cls.model_fields[info.field_name]
        if value == "" and not field.is_required() and not is_list(field):
            return field.get_default(call_default_factory=True)
        return value


@cache
def _value_adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", kind))


class TypedValues(Generic[V]):
    """Turns values of one type into what JSON has, and back."""

    def __init__(self, kind: type[V]) -> None:
        self._adapter = _value_adapter(cast("Hashable", kind))

    def load(self, stored: object) -> V:
        """Return what JSON has as a value of the type. Raise ValueError if it is none."""
        value: V = self._adapter.validate_python(stored)
        return value

    def dump(self, value: V) -> object:
        """Return a value of the type as JSON has it."""
        return self._adapter.dump_python(value, mode="json")


def _to_list(value: object) -> object:
    return comma_list(value) if isinstance(value, str) else value


def _to_words(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return tuple(shlex.split(value))
    except ValueError:
        raise ValueError("a quotation mark is not closed") from None


def _to_flag(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lower() not in _FLAGS:
        raise ValueError(f"expected yes or no, got {quote_shortened(value)}")
    return _FLAGS[value.lower()]


def is_file(path: Path) -> bool:
    """Return whether the file exists. Unlike `Path.is_file` it never raises, even if the name is too long."""
    return os.path.isfile(path)  # noqa: PTH113


def _to_path(value: object, info: ValidationInfo) -> object:
    """Return the path of a text. A relative one begins in the folder that the context has for the option."""
    if not isinstance(value, str):
        return value
    folder = (info.context or {}).get(info.field_name)
    return folder / expand_path(value) if folder else expand_path(value)


def _to_secret(value: object) -> object:
    return Secret(value) if isinstance(value, str) and not isinstance(value, Secret) else value


_UNITS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_MOST_SPAN_S = 366 * 86_400.0


def parse_span(text: str) -> float:
    """Return the seconds of a text such as ``20m``, ``90s``, ``1.5h`` or ``2d``; ``never`` is 0.

    Raises:
        ValueError: with a message that says what was expected.
    """
    if text.strip().lower() == "never":
        return 0.0
    parts = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|m|min|h|d)\s*", text.lower(), re.ASCII)
    seconds = float(parts[1]) * _UNITS_S[parts[2]] if parts else 0.0
    if not 1 <= seconds <= _MOST_SPAN_S:
        raise ValueError(f"expected a time such as 90s, 20m, 2h or 1d, a year at most, or never; got {text[:60]!r}")
    return seconds


def _to_span(value: object) -> object:
    return parse_span(value) if isinstance(value, str) else value


Span = Annotated[float, Field(ge=0, le=_MOST_SPAN_S), BeforeValidator(_to_span)]
"""``90s``, ``20m``, ``2h``, ``1d``, or ``never``: a time, in seconds; 0 for never."""
CommaList = Annotated[tuple[str, ...], BeforeValidator(_to_list)]
"""``a, b, c``; may continue on indented lines."""
WordList = Annotated[tuple[str, ...], BeforeValidator(_to_words)]
"""``a b "c d"``: words as a shell has them, separated by blanks; may continue on indented lines."""
Flag = Annotated[bool, BeforeValidator(_to_flag)]
"""yes/no, on/off, true/false, 1/0, in any case."""
SecretText = Annotated[InstanceOf[Secret], BeforeValidator(_to_secret)]
"""A text that is never displayed."""
ExpandedPath = Annotated[Path, BeforeValidator(_to_path)]
"""A path on the laptop; ``~`` and ``$VARS`` are expanded. In a config file it is relative to the file."""
PathList = Annotated[tuple[ExpandedPath, ...], BeforeValidator(_to_list)]
"""Paths on the laptop, separated by commas."""


def _plain_types(annotation: object) -> set[object]:
    """Return the plain types of an annotation. Tuples are not unpacked."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _plain_types(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return set().union(*(_plain_types(arg) for arg in get_args(annotation)))
    return {origin or annotation}


def is_list(field: FieldInfo) -> bool:
    """Return whether the option is a comma list."""
    return not {tuple, list, frozenset, set}.isdisjoint(_plain_types(field.annotation))


def is_secret(field: FieldInfo) -> bool:
    """Return whether the option's value must never be shown."""
    return Secret in _plain_types(field.annotation)


def read_section(
    model: type[S], values: Mapping[str, str], folders: Mapping[str, Path] | None = None
) -> tuple[S | None, list[tuple[str, str]]]:
    """Return the section model of texts and no faults; or None and the faults: key and plain message.

    Args:
        model: the options of the section.
        values: their texts.
        folders: by key, the folder in which relative paths begin; the working folder for other keys.
    """
    try:
        return model.model_validate(dict(values), context=folders), []
    except ValidationError as exc:
        faults: dict[str, list[str]] = {}
        for error in exc.errors(include_url=False):
            key = str(error["loc"][0]) if error["loc"] else ""
            faults.setdefault(key, []).append(_explain_error(model, key, error))
        # An option with several types gives one error for each type, and a list one error for each wrong item.
        return None, [(key, ", or ".join(dict.fromkeys(words))) for key, words in faults.items()]


def _explain_error(model: type[Section], key: str, error: ErrorDetails) -> str:
    if error["type"] == "missing":
        about = model.model_fields[key].description if key in model.model_fields else None
        return "is required" + (f": {about}" if about else "")
    if error["type"] == "extra_forbidden":
        names = [name.upper() for name in model.model_fields]
        known = f"; there are {', '.join(names)}" if names else "; this section has no options"
        return "unknown option" + (did_you_mean(key, names) or known)
    return _explain_value(error, model.model_fields.get(key))


def _explain_value(error: ErrorDetails, field: FieldInfo | None) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    value = str.__str__(error["input"]) if isinstance(error["input"], str) else ""
    if error["type"] == _INDENTED:
        return error["msg"]
    if field is not None and is_secret(field):
        return "is not valid"  # any other message might quote it
    if error["type"] == "value_error":
        return str(context.get("error", error["msg"]))
    got = f", got {quote_shortened(value)}" if value else ""
    if error["type"] == "string_pattern_mismatch" and field is not None and field.examples:
        return f"expected something like {field.examples[0]}{got}"
    if error["type"] in {"literal_error", "enum"}:
        choices = [choice for choice in re.findall("'([^']*)'", str(context["expected"])) if choice]
        one_of = "one of " if len(choices) > 1 else ""
        return f"expected {one_of}{', '.join(choices)}{got}{did_you_mean(value, choices)}"
    wanted = _EXPECTED.get(error["type"])
    words = f"expected {wanted.format(**context)}" if wanted else error["msg"].replace("Input should be", "expected")
    return words + got


def quote_shortened(value: str) -> str:
    """Return the first line of a value in quotes, cut if it is long. Further lines may be other options' by mistake."""
    first = value.partition("\n")[0]
    return repr(first if first == value and len(first) <= 60 else first[:57] + "...")
