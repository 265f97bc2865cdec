"""moto in this process. The only file that knows how moto is called; `backend` gives its insides to those who must."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import urlencode

from botocore import parsers, serialize
from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.ec2.models.amis import AmiBackend
from moto.ec2.models.core import TaggedEC2Resource
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.utils import EC2_PREFIX_TO_RESOURCE, get_prefix
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from . import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ACCOUNT = DEFAULT_ACCOUNT_ID


class Moto:
    """moto's server without its port: requests go to its WSGI application. All state is new at the beginning.

    `network` is that of the default VPC of each region that is used from now on.
    """

    def __init__(self) -> None:
        _forget()
        self._backends: dict[tuple[str, str], Any] = {}
        self.network = "172.31.0.0/16"
        self._app = DomainDispatcherApplication(create_backend_app)

    def backend(self, service: str, region: str) -> Any:
        """moto's own objects of one service in one region. moto's list of old images is left out: it costs a second."""
        if (service, region) not in self._backends:
            with (
                mock.patch.object(AmiBackend, "_load_amis", return_value=None),
                mock.patch.object(VPCBackend, "create_vpc", _vpcs_in(self.network)),
            ):
                self._backends[service, region] = get_backend(service)[ACCOUNT][region]
        return self._backends[service, region]

    def forward(self, request: wire.Request) -> wire.Answer:
        """Let moto answer. What moto lacks is an error that says so."""
        environ = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": request.path.partition("?")[0],
            "QUERY_STRING": request.path.partition("?")[2],
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        for name, value in request.headers.items():
            if name not in ("content-type", "content-length"):
                environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        # moto tells the region by the user agent first: what the request is signed for is what counts.
        environ["HTTP_USER_AGENT"] = "clusterctl-standin"
        said: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _trouble: object = None) -> None:
            said["status"] = int(status.split()[0])
            said["headers"] = {name.lower(): value for name, value in headers}

        try:
            with mock.patch.object(TaggedEC2Resource, "get_tags", _tags):
                body = b"".join(self._app(environ, start_response))
        except NotImplementedError as exc:
            lacking = wire.AwsError("InvalidAction", f"moto has no {request.action}: {exc}")
            return wire.write_error(request, lacking)
        headers = {name: value for name, value in said["headers"].items() if name == "content-type"}
        error = "" if said["status"] < 300 else _error_code(request, said["status"], said["headers"], body)
        return wire.Answer(said["status"], headers, body, error)

    def call(self, service: str, action: str, region: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Ask moto as boto3 would, and read its answer as boto3 would. An error is raised as AwsError."""
        described = wire.model(service)
        operation = described.operation_model(action)
        made = serialize.create_serializer(described.metadata["protocol"]).serialize_to_request(dict(params), operation)
        body = made["body"]
        if isinstance(body, dict):
            body = urlencode(body).encode()
        headers = {name.lower(): value for name, value in made["headers"].items()}
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential=standin/20250101/{region}/{service}/aws4_request,"
            " SignedHeaders=host, Signature=0"
        )
        if isinstance(body, dict) or described.metadata["protocol"] in ("ec2", "query"):
            headers["content-type"] = "application/x-www-form-urlencoded; charset=utf-8"
        answer = self.forward(
            wire.Request(service, action, region, params, path="/", headers=headers, body=bytes(body))
        )
        parsed = parse(service, action, answer)
        if answer.status >= 300:
            error = parsed.get("Error", {})
            raise wire.AwsError(error.get("Code", "InternalError"), error.get("Message", ""), status=answer.status)
        parsed.pop("ResponseMetadata", None)
        return parsed


def _vpcs_in(network: str) -> Callable[..., Any]:
    """moto's own `create_vpc`, but that the default VPC is in this network."""
    make = VPCBackend.create_vpc

    def create_vpc(backend: Any, cidr_block: str, *more: Any, is_default: bool = False, **options: Any) -> Any:
        return make(backend, network if is_default else cidr_block, *more, is_default=is_default, **options)

    return create_vpc


def _tags(resource: Any) -> list[dict[str, str]]:
    """A resource's tags. moto looks through those of all others for them, which takes minutes for a thousand disks."""
    kind = EC2_PREFIX_TO_RESOURCE.get(get_prefix(resource.id), "")
    found = resource.ec2_backend.tags.get(resource.id, {}) if resource.id else {}
    return [
        {"resource_id": resource.id, "key": key, "value": value, "resource_type": kind} for key, value in found.items()
    ]


def _forget() -> None:
    """Drop all state. moto's own reset makes every region anew first, which takes a second that nobody uses."""
    for backends in BackendDict._instances:
        backends.clear()
    BackendDict._instances.clear()
    reset_model_data()


def parse(service: str, action: str, answer: wire.Answer) -> dict[str, Any]:
    """An answer as boto3 reads it."""
    described = wire.model(service)
    parser = parsers.create_parser(described.metadata["protocol"])
    raw = {"status_code": answer.status, "headers": dict(answer.headers), "body": answer.body}
    return parser.parse(raw, described.operation_model(action).output_shape)


def _error_code(request: wire.Request, status: int, headers: Mapping[str, str], body: bytes) -> str:
    try:
        parsed = parse(request.service, request.action, wire.Answer(status, headers, body))
    except Exception:  # noqa: BLE001  whatever moto sent, the call is logged
        return str(status)
    return str(parsed.get("Error", {}).get("Code") or status)
