"""What every INI section model is made of. Options are declared once; parsing, checking and docs follow."""

import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from clusterctl.secret import Secret

__all__ = [
    "CommaList",
    "ExpandedPath",
    "Field",
    "Flag",
    "PathList",
    "SecretText",
    "Section",
    "comma_list",
    "did_you_mean",
    "expand_path",
    "is_file",
    "is_list",
    "is_secret",
    "read_section",
    "shorten",
]

S = TypeVar("S", bound="Section")

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
    """An INI section: one field an option. Unknown keys are refused, an empty value means the default.

    A subclass is the whole declaration of a plugin's options::

        class Options(Section):
            paths: CommaList = Field((), description="folders to share")
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: object, info: ValidationInfo) -> object:
        """Refuse a swallowed line, and let an empty value stand for the default."""
        if not isinstance(value, str) or info.field_name is None:
            return value
        for line in str.__str__(value).splitlines()[1:]:
            # An indented line continues the value before it: an option must not vanish into another one.
            found = re.match(r"\s*(\w+)\s*[=:]", line)
            if found and found[1].lower() in cls.model_fields:
                message = f"the line {found[1].upper()} below it is indented and so part of it; unindent it"
                raise PydanticCustomError(_INDENTED, message)
        field = cls.model_fields[info.field_name]
        if value == "" and not field.is_required() and not is_list(field):
            return field.get_default(call_default_factory=True)
        return value


def comma_list(text: str) -> tuple[str, ...]:
    """Split at commas and line ends; blanks go."""
    return tuple(item for item in (part.strip() for part in re.split(r"[,\n]", text)) if item)


def _to_list(value: object) -> object:
    return comma_list(value) if isinstance(value, str) else value


def _to_flag(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.lower() not in _FLAGS:
        raise ValueError(f"expected yes or no, got {shorten(value)}")
    return _FLAGS[value.lower()]


def expand_path(text: str) -> Path:
    """A path as a user writes it: ``~`` and ``$VARS``. A relative one is left so."""
    return Path(os.path.expanduser(os.path.expandvars(text)))  # noqa: PTH111  # Path's may raise


def is_file(path: Path) -> bool:
    """Whether there is such a file. Unlike `Path.is_file`, never raises: not for a name too long either."""
    return os.path.isfile(path)  # noqa: PTH113


def _to_path(value: object) -> object:
    return expand_path(value) if isinstance(value, str) else value


def _to_secret(value: object) -> object:
    return Secret(value) if isinstance(value, str) and not isinstance(value, Secret) else value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_to_list)]
"""``a, b, c``, over several lines if they are indented."""
Flag = Annotated[bool, BeforeValidator(_to_flag)]
"""yes/no, on/off, true/false, 1/0, in any case."""
SecretText = Annotated[InstanceOf[Secret], BeforeValidator(_to_secret)]
"""A text that is never shown."""
ExpandedPath = Annotated[Path, BeforeValidator(_to_path)]
"""A path on the laptop; ``~`` and ``$VARS`` are expanded."""
PathList = Annotated[tuple[ExpandedPath, ...], BeforeValidator(_to_list)]
"""Paths on the laptop, separated by commas."""


def _kinds(annotation: object) -> set[object]:
    """The plain types that an annotation is made of, without looking into tuples."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return set().union(*(_kinds(arg) for arg in get_args(annotation)))
    return {origin or annotation}


def is_list(field: FieldInfo) -> bool:
    """Whether the option is a comma list."""
    return not {tuple, list, frozenset, set}.isdisjoint(_kinds(field.annotation))


def is_secret(field: FieldInfo) -> bool:
    """Whether the option's value must never be shown."""
    return Secret in _kinds(field.annotation)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)``, or nothing when nothing is near. Case does not count."""
    by_case = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_case, n=1, cutoff=0.6)
    return f" (did you mean {by_case[near[0]]}?)" if near else ""


def read_section(model: type[S], values: Mapping[str, str]) -> tuple[S | None, list[tuple[str, str]]]:
    """Make a section model of texts; or say of each wrong key, in plain words, what is wrong with it."""
    try:
        return model.model_validate(dict(values)), []
    except ValidationError as exc:
        faults: dict[str, list[str]] = {}
        for error in exc.errors(include_url=False):
            key = str(error["loc"][0]) if error["loc"] else ""
            faults.setdefault(key, []).append(_fault(model, key, error))
        # An option of several types fails once for each; an item of a list fails as often as it is wrong.
        return None, [(key, ", or ".join(dict.fromkeys(words))) for key, words in faults.items()]


def _fault(model: type[Section], key: str, error: ErrorDetails) -> str:
    if error["type"] == "missing":
        about = model.model_fields[key].description if key in model.model_fields else None
        return "is required" + (f": {about}" if about else "")
    if error["type"] == "extra_forbidden":
        names = [name.upper() for name in model.model_fields]
        known = f"; there are {', '.join(names)}" if names else "; this section has no options"
        return "unknown option" + (did_you_mean(key, names) or known)
    return _wrong_value(error, model.model_fields.get(key))


def _wrong_value(error: ErrorDetails, field: FieldInfo | None) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    value = str.__str__(error["input"]) if isinstance(error["input"], str) else ""
    if error["type"] == _INDENTED:
        return error["msg"]
    if field is not None and is_secret(field):
        return "is not valid"  # any other words might quote it
    if error["type"] == "value_error":
        return str(context.get("error", error["msg"]))
    got = f", got {shorten(value)}" if value else ""
    if error["type"] == "string_pattern_mismatch" and field is not None and field.examples:
        return f"expected something like {field.examples[0]}{got}"
    if error["type"] == "literal_error":
        choices = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        one_of = "one of " if "," in choices else ""
        return f"expected {one_of}{choices}{got}{did_you_mean(value, choices.split(', '))}"
    wanted = _EXPECTED.get(error["type"])
    words = f"expected {wanted.format(**context)}" if wanted else error["msg"].replace("Input should be", "expected")
    return words + got


def shorten(value: str) -> str:
    """The value in quotes, cut where it is long; its first line only, as others may have strayed into it."""
    first = value.partition("\n")[0]
    return repr(first if first == value and len(first) <= 60 else first[:57] + "...")
