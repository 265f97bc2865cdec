"""What moto and botocore make anew for each key, request and client, made once in a process: it is the same each time.

Without this, half of the time of a test on the stand-in goes into RSA keys that encrypt nothing, and into classes
with the 700 operations of EC2.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.client import ClientCreator
from moto import backends
from moto.core import responses
from moto.core.base_backend import AccountSpecificBackend
from moto.core.parse import QueryParser
from moto.kms import models

if TYPE_CHECKING:
    from collections.abc import Mapping


def install() -> None:
    """Replace them in this process. A name that is gone from there fails here, and not by being slow."""
    models.generate_private_key = cache(models.generate_private_key)
    responses.method_names_from_class = cache(responses.method_names_from_class)
    list_modules = backends.list_of_moto_modules
    backends.list_of_moto_modules = cache(lambda: tuple(list_modules()))
    find_regions = AccountSpecificBackend._generate_regions.__wrapped__
    regions = cache(lambda service: tuple(find_regions(None, service)))
    AccountSpecificBackend._generate_regions = lambda _, service: regions(service)
    make_methods = ClientCreator._create_methods
    made: dict[str, dict[str, Any]] = {}

    def methods(self: ClientCreator, service_model: Any) -> dict[str, Any]:
        service = service_model.service_name
        if service not in made:
            made[service] = make_methods(self, service_model)
        return dict(made[service])

    ClientCreator._create_methods = methods
    assert callable(QueryParser._gonna_recurse)
    QueryParser._gonna_recurse = _has_none


def _has_none(self: QueryParser, given: Mapping[str, Any], prefix: str) -> bool:
    """Whether no parameter begins so. moto goes through all of them, for each of the hundreds that there could be."""
    if not prefix:
        return False
    held, names = self.__dict__.get("_standin_names", (None, []))
    if held is not given:
        names = sorted(given)
        self.__dict__["_standin_names"] = (given, names)
    place = bisect_left(names, prefix)
    return place == len(names) or not names[place].startswith(prefix)


install()
