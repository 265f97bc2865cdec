"""Says which instance this is by the metadata service, version 2. Not all who run this get an answer from it."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

_LIFETIME_S = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}


def ask(url: str, method: str, headers: dict[str, str]) -> str:
    """Return an answer of the service. Never by way of the proxy that the node may have for everything else."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310  http, to the link itself
    with opener.open(request, timeout=5) as answer:
        return str(answer.read().decode())


def instance_id(url: str) -> str:
    """Return the id of this instance; empty where the service does not answer."""
    try:
        token = ask(f"{url}/latest/api/token", "PUT", _LIFETIME_S)
        return ask(f"{url}/latest/meta-data/instance-id", "GET", {"X-aws-ec2-metadata-token": token})
    except OSError:
        return ""


def main(values: dict[str, Any]) -> None:
    """Print the id as JSON; `url` is where the service is."""
    print(json.dumps({"id": instance_id(values["url"])}))
