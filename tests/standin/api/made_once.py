"""What moto and botocore make anew for each key, request and client, made once in a process: it is the same each time.

Without this, half of the time of a test on the stand-in goes into RSA keys that encrypt nothing, and into classes
with the 700 operations of EC2.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.client import ClientCreator
from moto import backends
from moto.core import responses
from moto.kms import models


def install() -> None:
    """Replace them in this process. A name that is gone from there fails here, and not by being slow."""
    models.generate_private_key = cache(models.generate_private_key)
    responses.method_names_from_class = cache(responses.method_names_from_class)
    list_modules = backends.list_of_moto_modules
    backends.list_of_moto_modules = cache(lambda: tuple(list_modules()))
    make_methods = ClientCreator._create_methods
    made: dict[str, dict[str, Any]] = {}

    def methods(self: ClientCreator, service_model: Any) -> dict[str, Any]:
        service = service_model.service_name
        if service not in made:
            made[service] = make_methods(self, service_model)
        return dict(made[service])

    ClientCreator._create_methods = methods


install()
