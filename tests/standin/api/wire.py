"""What goes over the line: requests read into parameters, results and errors written as AWS writes them.

Names, shapes and protocols come from botocore's models of the services, which are AWS's own descriptions of its APIs.
"""

from __future__ import annotations

import base64
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.loaders
from botocore.model import OperationNotFoundError, ServiceModel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MODEL_OF = {"servicequotas": "service-quotas"}
"""Signing name -> botocore's name, where they differ."""
_CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")


@cache
def loader() -> botocore.loaders.Loader:
    """One for all: to read AWS's description of EC2 takes a third of a second."""
    return botocore.loaders.create_loader()


@cache
def model(service: str) -> ServiceModel:
    """Botocore's description of a service, by its signing name."""
    name = MODEL_OF.get(service, service)
    return ServiceModel(loader().load_service_model(name, "service-2"), name)


@cache
def _operation(service: str, action: str):
    try:
        return model(service).operation_model(action)
    except OperationNotFoundError:
        return None


class AwsError(Exception):
    """An error as AWS answers it."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class Request:
    """One call: who is asked what, with the parameters as boto3 takes them (numbers and truth values converted)."""

    service: str
    action: str
    region: str
    params: Mapping[str, Any]
    method: str = "POST"
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    straight: bool = False
    """Asked by the test itself: to look makes no time pass."""
    effects: Any = None
    """What faults change about this call."""


@dataclass(frozen=True)
class Answer:
    """What goes back: `error` is its code, or empty."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    error: str = ""


def read(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Request:
    """A call from what came in. `headers` have lower-case names."""
    found = _CREDENTIAL.search(headers.get("authorization", ""))
    region, service = (found[1], found[2]) if found else ("us-east-1", "")
    target = headers.get("x-amz-target", "")
    if target:
        action = target.rpartition(".")[2]
        params = json.loads(body or b"{}")
    else:
        flat = dict(parse_qsl(body.decode(), keep_blank_values=True))
        action = flat.get("Action", "")
        params = _read_query(service, action, flat)
    return Request(
        service=service,
        action=action,
        region=region,
        params=params,
        method=method,
        path=path,
        headers=headers,
        body=body,
    )


def _read_query(service: str, action: str, flat: Mapping[str, str]) -> dict[str, Any]:
    flat = {key: value for key, value in flat.items() if key not in ("Action", "Version")}
    operation = _operation(service, action) if service else None
    if service != "ec2" or operation is None or operation.input_shape is None:
        return dict(flat)
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *parents, last = key.split(".")
        place = tree
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
    return _typed(operation.input_shape, tree)


def _typed(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        named = {_ec2_name(member, name): (name, member) for name, member in shape.members.items()}
        return {named[key][0]: _typed(named[key][1], given) for key, given in value.items() if key in named}
    if shape.type_name == "list":
        return [_typed(shape.member, value[key]) for key in sorted(value, key=int)]
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name in ("float", "double"):
        return float(value)
    if shape.type_name == "boolean":
        return value == "true"
    return value


def _ec2_name(shape: Any, name: str) -> str:
    """How EC2's query protocol calls a member: its queryName, else its locationName with a capital."""
    if "queryName" in shape.serialization:
        return shape.serialization["queryName"]
    said = shape.serialization.get("name", name)
    return said[0].upper() + said[1:]


def write(request: Request, result: Mapping[str, Any]) -> Answer:
    """A result as the service would send it."""
    if "x-amz-target" in request.headers:
        return _json(200, result)
    shape = model(request.service).operation_model(request.action).output_shape
    parts = [f'<{request.action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">']
    parts.append(f"<requestId>{uuid.uuid4()}</requestId>")
    if shape is not None:
        _xml_members(parts, shape, result)
    parts.append(f"</{request.action}Response>")
    return Answer(200, {"content-type": "text/xml;charset=UTF-8"}, "".join(parts).encode())


def write_error(request: Request, error: AwsError) -> Answer:
    """An error as the service would send it."""
    if "x-amz-target" in request.headers:
        said = _json(error.status, {"__type": error.code, "message": error.message})
        return Answer(error.status, {**said.headers, "x-amzn-errortype": error.code}, said.body, error.code)
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    if request.service == "ec2":
        text = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{uuid.uuid4()}</RequestID></Response>"
    else:
        sender = "Receiver" if error.status >= 500 else "Sender"
        text = (
            f"<ErrorResponse><Error><Type>{sender}</Type>{inner}</Error>"
            f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
        )
    return Answer(error.status, {"content-type": "text/xml;charset=UTF-8"}, text.encode(), error.code)


def _json(status: int, result: Mapping[str, Any]) -> Answer:
    def plain(value: Any) -> Any:
        return value.timestamp() if isinstance(value, datetime) else str(value)

    return Answer(status, {"content-type": "application/x-amz-json-1.1"}, json.dumps(result, default=plain).encode())


def _xml_members(parts: list[str], shape: Any, value: Mapping[str, Any]) -> None:
    for tag, name, member in _members(shape.name):
        given = value.get(name)
        if given is not None:
            _xml(parts, tag, member, given)


@cache
def _members(shape_name: str) -> tuple[tuple[str, str, Any], ...]:
    """Tag, name and shape of each member of one of EC2's structures; botocore makes them anew at each look."""
    members = model("ec2").shape_for(shape_name).members
    return tuple((member.serialization.get("name", name), name, member) for name, member in members.items())


def _xml(parts: list[str], tag: str, shape: Any, value: Any) -> None:
    kind = shape.type_name
    if kind == "structure":
        parts.append(f"<{tag}>")
        _xml_members(parts, shape, value)
        parts.append(f"</{tag}>")
    elif kind == "list":
        inner = shape.member.serialization.get("name", "item")
        parts.append(f"<{tag}>")
        for each in value:
            _xml(parts, inner, shape.member, each)
        parts.append(f"</{tag}>")
    else:
        parts.append(f"<{tag}>{_xml_text(kind, value)}</{tag}>")


def _xml_text(kind: str, value: Any) -> str:
    if kind == "boolean":
        return "true" if value else "false"
    if isinstance(value, datetime):
        return aws_time(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return escape(str(value))


def page(items: Sequence[Any], request: Request, *, most: int) -> tuple[Sequence[Any], str | None]:
    """The part of the items that MaxResults and NextToken ask for, and the next token."""
    size = min(int(request.params.get("MaxResults") or most), most)
    try:
        start = int(request.params.get("NextToken") or 0)
    except ValueError:
        raise AwsError("InvalidNextToken", "The token is not valid") from None
    rest = items[start : start + size]
    return rest, str(start + size) if start + size < len(items) else None


def read_time(said: str) -> datetime:
    """A time as boto3 sends it."""
    when = datetime.fromisoformat(said.replace("Z", "+00:00"))
    return when if when.tzinfo else when.replace(tzinfo=timezone.utc)


def aws_time(when: datetime) -> str:
    """A time as EC2 writes it: UTC, with milliseconds."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
