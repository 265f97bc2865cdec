"""What EC2 refuses in a request before it looks at anything: too many values, wrong kinds of tags, long tokens.

From the API reference: at most 200 values of filters in a call; tags of a creation only for what the action makes;
client tokens of up to 64 ASCII characters (128 for launch templates); tags on at most 1000 resources at once; ten names
in SSM's GetParameters. moto lets all of it through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import wire

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LAUNCHED = ("instance", "volume", "network-interface", "spot-instances-request", "elastic-gpu")
"""What a launch can tag."""
TAGGED_BY = {
    "CreateFleet": ("fleet", "instance", "volume", "network-interface"),
    "CreateImage": ("image", "snapshot"),
    "CreateKeyPair": ("key-pair",),
    "CreateLaunchTemplate": ("launch-template",),
    "CreateNetworkInterface": ("network-interface",),
    "CreatePlacementGroup": ("placement-group",),
    "CreateSecurityGroup": ("security-group",),
    "CreateSnapshot": ("snapshot",),
    "CreateSubnet": ("subnet",),
    "CreateVolume": ("volume",),
    "ImportKeyPair": ("key-pair",),
    "RunInstances": LAUNCHED,
}
_FILTER_VALUES, _RESOURCES, _TAGS, _NAMES = 200, 1000, 50, 10


def check(request: wire.Request) -> None:
    """Raise what the service would say."""
    given = request.params
    if request.service == "ssm" and request.action == "GetParameters" and len(given.get("Names", ())) > _NAMES:
        raise wire.AwsError("ValidationException", "Member must have length less than or equal to 10")
    if request.service != "ec2":
        return
    if sum(len(each.get("Values", ())) for each in given.get("Filters") or ()) > _FILTER_VALUES:
        said = f"The maximum number of filter values specified on a single call is {_FILTER_VALUES}"
        raise wire.AwsError("FilterLimitExceeded", said)
    token = str(given.get("ClientToken") or "")
    if not token.isascii() or len(token) > (128 if "LaunchTemplate" in request.action else 64):
        raise wire.AwsError("InvalidParameterValue", f"The client token {token!r} is too long or not ASCII")
    if request.action == "CreateTags" and len(given.get("Resources", ())) > _RESOURCES:
        raise wire.AwsError("InvalidParameterValue", f"At most {_RESOURCES} resources can be tagged at once")
    if request.action in TAGGED_BY:
        _check_tags(given.get("TagSpecifications") or (), TAGGED_BY[request.action])
    if request.action in ("CreateLaunchTemplate", "CreateLaunchTemplateVersion"):
        _check_tags((given.get("LaunchTemplateData") or {}).get("TagSpecifications") or (), LAUNCHED)


def _check_tags(specifications: Iterable[Mapping[str, Any]], kinds: tuple[str, ...]) -> None:
    for each in specifications:
        if each["ResourceType"] not in kinds:
            message = f"'{each['ResourceType']}' is not a valid taggable resource type for this operation."
            raise wire.AwsError("InvalidParameterValue", message)
        pairs = {tag["Key"]: tag.get("Value", "") for tag in each.get("Tags") or ()}
        if len(pairs) > _TAGS:
            raise wire.AwsError("TagLimitExceeded", f"The maximum number of tags for a resource is {_TAGS}.")
        for key, value in pairs.items():
            if key.lower().startswith("aws:"):
                message = f"Tag keys starting with 'aws:' are reserved for internal use: {key}"
                raise wire.AwsError("InvalidParameterValue", message)
            if not 0 < len(key) <= 128 or len(value) > 256:
                raise wire.AwsError("InvalidParameterValue", f"Tag {key}: the key or the value is too long")
