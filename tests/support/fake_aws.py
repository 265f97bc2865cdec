"""An account in a few lines, for tests of what is made of AWS's answers: by operation, what it answers."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from clusterctl.providers.ec2.answers.newborn import Newborn
from clusterctl.providers.ec2.aws import AwsError

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=timezone.utc)


class FakeAws:
    """Answers with what it is given: a list of items (`pages`), a dict (`call`), a function of the parameters, or an
    AwsError to raise. What it was not given is refused, as to somebody without rights."""

    def __init__(self, answers=None, region="us-east-1"):
        self.region = region
        self.answers = answers or {}
        self.calls = []
        self.newborn = Newborn()

    def decode_refusal(self, encoded):
        return ""

    def in_region(self, region):
        other = FakeAws(self.answers, region)
        other.calls = self.calls
        return other

    def call(self, service, operation, *, at="", **parameters):
        return self._answer(operation, parameters)

    def pages(self, service, operation, key, **parameters):
        yield from self._answer(operation, parameters)

    def asked(self, operation):
        return [parameters for name, _, parameters in self.calls if name == operation]

    def _answer(self, operation, parameters):
        self.calls.append((operation, self.region, parameters))
        answer = self.answers.get(operation, refused())
        if callable(answer):
            answer = answer(**parameters)
        if isinstance(answer, Exception):
            raise answer
        return answer


def refused(code="AccessDeniedException"):
    return AwsError(f"AWS refused: not for you ({code})", remedy="ask", code=code)


def product(kind, usd, **facts):
    """An item of the price list, as GetProducts has it; prices of 0 are what reservations have."""
    return json.dumps(
        {
            "product": {"attributes": {"instanceType": kind, "marketoption": "OnDemand", **facts}},
            "terms": {
                "OnDemand": {
                    "X": {
                        "priceDimensions": {
                            "Y": {"unit": "GB-Mo" if kind is None else "Hrs", "pricePerUnit": {"USD": str(usd)}}
                        }
                    }
                }
            },
        }
    )


def products(instances, disks=None):
    """GetProducts over these prices, by type and by kind of disk."""

    def answer(**asked):
        given = {each["Field"]: each["Value"] for each in asked["Filters"]}
        if "volumeApiName" in given:
            usd = (disks or {}).get(given["volumeApiName"])
            return [] if usd is None else [product(None, usd)]
        return [product(kind, usd) for kind, usd in instances.items() if kind in given["instanceType"].split(",")]

    return answer


def spot(kind, zone, usd, since=NOW):
    return {"InstanceType": kind, "AvailabilityZone": zone, "SpotPrice": str(usd), "Timestamp": since}
