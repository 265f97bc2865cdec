"""SSM's public parameters that name images; every other parameter is moto's."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ..api import wire
from .images import PUBLIC_IMAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..cloud import Cloud

_CHANGED = datetime(2025, 6, 11, tzinfo=timezone.utc)


def _parameter(name: str, region: str) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "String",
        "Value": PUBLIC_IMAGES[name].id_in(region),
        "Version": 42,
        "LastModifiedDate": _CHANGED,
        "ARN": f"arn:aws:ssm:{region}::parameter{name}",
        "DataType": "aws:ec2:image",
    }


def get_parameter(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """The image's id, or moto's answer."""
    name = request.params["Name"]
    if name in PUBLIC_IMAGES:
        return {"Parameter": _parameter(name, request.region)}
    if name.startswith("/aws/service/") and "global-infrastructure" not in name:
        raise wire.AwsError("ParameterNotFound", "")
    return cloud.moto.call("ssm", "GetParameter", request.region, request.params)


def get_parameters(cloud: Cloud, request: wire.Request) -> Mapping[str, Any]:
    """Those that exist, and the names of those that do not."""
    found: list[Any] = []
    lacking: list[str] = []
    for name in request.params["Names"]:
        try:
            one = wire.Request("ssm", "GetParameter", request.region, {"Name": name})
            found.append(get_parameter(cloud, one)["Parameter"])
        except wire.AwsError:
            lacking.append(name)
    return {"Parameters": found, "InvalidParameters": lacking}


HANDLERS = {("ssm", "GetParameter"): get_parameter, ("ssm", "GetParameters"): get_parameters}
