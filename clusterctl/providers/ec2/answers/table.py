"""The table of error codes: the only place of the program that names one. The first row that fits counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.providers.ec2.answers.rows import Kind, Road, Row

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCES: Mapping[str, str] = {
    "codes": "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html",
    "dry-run": "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/CommonParameters.html",
    "kms": "https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html",
    "consistency": "https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html",
    "throttling": "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html",
    "idempotency": "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html",
    "launch": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/troubleshooting-launch.html",
    "fleet": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/work-with-ec2-fleets.html",
    "spot": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-request-status.html",
    "spot-quota": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html",
    "spot-role": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html",
    "common": "https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html",
    "decode": "https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html",
    "grown-volumes": "https://docs.aws.amazon.com/ebs/latest/userguide/modify-volume-requirements.html",
    "quotas": "https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_GetServiceQuota.html",
    "regions": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-regions-availability-zones.html",
    "free-plan": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-free-tier-usage.html",
    "tags": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html",
    "karpenter": "https://github.com/aws/karpenter-provider-aws/blob/main/pkg/errors/errors.go",
}
"""Where each row is from, by the key that rows name."""

_AGAIN = "run the same command again"
_WAIT = "AWS wants fewer calls: wait a minute, then run the same command again"
_GONE = "look at what there is, and correct the name or id; if it was made just now, wait a minute"
_TYPES = "name more types in NODE_INSTANCE_TYPE, or another zone, set ZONES = any or another region"
_QUOTA = "ask for a higher quota in the Service Quotas console, end other instances, or take fewer"
_KEYS = "check the keys: `aws sts get-caller-identity` with the same profile must work"
_RENEW = "get new temporary credentials (`aws sso login`, say)"
_POLICY = "let somebody with rights in the account allow it; docs/howto/ec2.md lists what is needed"
_LINKED_ROLE = (
    "let somebody with rights run `aws iam create-service-linked-role --aws-service-name spot.amazonaws.com`, once for"
    " the account"
)
_REGION = "the account cannot use EC2 in this region: enable it, finish the sign-up, or choose another AWS_REGION_NAME"
_SETTINGS = "correct what AWS names in the template"
_IMAGE = "choose another NODE_IMAGE_ID: one of this region, that you may use, for the types' architecture"
_SUBNET = "correct SUBNET_ID: name subnets of this region and of one VPC, with free addresses"
_LATER = "wait a minute until its state has changed, then run the same command again"
_LIMITS = "delete what nobody needs (`clusterctl gc` finds ours), or ask for a higher quota"

TABLE: tuple[Row, ...] = (
    # Not there, or too new.
    Row("InvalidLaunchTemplateName.NotFoundException", Kind.ABSENT, Road.AWAIT, _AGAIN, "consistency"),
    Row("InvalidLaunchTemplateId.NotFound", Kind.ABSENT, Road.AWAIT, _AGAIN, "consistency"),
    Row("InvalidLaunchTemplateId.VersionNotFound", Kind.ABSENT, Road.AWAIT, _AGAIN, "consistency"),
    Row("InvalidGroup.NotFound", Kind.ABSENT, Road.AWAIT, "correct SECURITY_GROUPS; or " + _AGAIN, "consistency"),
    Row("InvalidSecurityGroupID.NotFound", Kind.ABSENT, Road.AWAIT, "correct SECURITY_GROUPS", "consistency"),
    Row("InvalidPlacementGroup.Unknown", Kind.ABSENT, Road.AWAIT, _AGAIN, "consistency"),
    Row("InvalidInstanceID.NotFound", Kind.ABSENT, Road.AWAIT, _GONE, "consistency"),
    Row("InvalidInstanceID.Malformed", Kind.ABSENT, Road.STOP, _GONE, "codes"),
    Row("InvalidVolume.NotFound", Kind.ABSENT, Road.AWAIT, _GONE, "consistency"),
    Row("InvalidKeyPair.NotFound", Kind.ABSENT, Road.AWAIT, "correct KEYNAME, or leave it out", "consistency"),
    Row("InvalidFleetId.NotFound", Kind.ABSENT, Road.AWAIT, _GONE, "codes"),
    Row("InvalidSubnetID.NotFound", Kind.NETWORK, Road.STOP, _SUBNET, "codes"),
    Row("InvalidVpcID.NotFound", Kind.NETWORK, Road.STOP, _SUBNET, "codes"),
    Row("InvalidAMIID.NotFound", Kind.IMAGE, Road.STOP, _IMAGE, "codes"),
    Row("InvalidAMIID.Malformed", Kind.IMAGE, Road.STOP, _IMAGE, "codes"),
    Row("InvalidAMIID.Unavailable", Kind.IMAGE, Road.STOP, _IMAGE, "codes"),
    Row("ParameterNotFound", Kind.ABSENT, Road.STOP, _GONE, "common"),
    Row("NotFoundException", Kind.ABSENT, Road.STOP, _GONE, "common"),
    Row("InvalidZone.NotFound", Kind.ABSENT, Road.STOP, "`clusterctl listzones` shows the zones", "codes"),
    Row("InvalidInstanceType", Kind.ABSENT, Road.STOP, "correct NODE_INSTANCE_TYPE", "codes"),
    Row("NoSuchResourceException", Kind.ABSENT, Road.STOP, _AGAIN, "quotas"),
    # There already, or in use.
    Row("InvalidGroup.Duplicate", Kind.TAKEN, Road.REUSE, "choose another name for the cluster", "codes"),
    Row("InvalidPermission.Duplicate", Kind.TAKEN, Road.REUSE, _AGAIN, "codes"),
    Row("InvalidPlacementGroup.Duplicate", Kind.TAKEN, Road.REUSE, "choose another name for the cluster", "codes"),
    Row("InvalidKeyPair.Duplicate", Kind.TAKEN, Road.STOP, "take another name", "codes"),
    Row("InvalidLaunchTemplateName.AlreadyExistsException", Kind.TAKEN, Road.STOP, _AGAIN, "codes"),
    Row("InvalidAMIName.Duplicate", Kind.TAKEN, Road.STOP, "remove the image of that name, then bake again", "codes"),
    Row("CannotDelete", Kind.HELD, Road.STOP, _LATER, "codes"),
    Row("DependencyViolation", Kind.HELD, Road.LET_GO, "run `clusterctl terminate NAME` again", "codes"),
    Row("InvalidGroup.InUse", Kind.HELD, Road.LET_GO, "run `clusterctl terminate NAME` again", "codes"),
    Row("InvalidPlacementGroup.InUse", Kind.HELD, Road.LET_GO, "run `clusterctl terminate NAME` again", "codes"),
    Row("VolumeInUse", Kind.HELD, Road.LET_GO, "end the cluster that uses it, or detach it", "codes"),
    Row("VolumeModificationRateExceeded", Kind.HELD, Road.STOP, _LATER, "grown-volumes"),
    Row("IncorrectModificationState", Kind.HELD, Road.STOP, _LATER, "grown-volumes"),
    Row("IncorrectInstanceState", Kind.BUSY, Road.RETRY, _LATER, "codes", calls=("start_instances", "stop_instances")),
    Row("IncorrectInstanceState", Kind.HELD, Road.STOP, _LATER, "codes"),
    Row("IncorrectState", Kind.BUSY, Road.RETRY, _LATER, "codes", calls=("attach_volume",)),
    Row("IncorrectState", Kind.HELD, Road.STOP, _LATER, "codes"),
    Row("IncorrectSpotRequestState", Kind.HELD, Road.STOP, _LATER, "codes"),
    Row(
        "OperationNotPermitted",
        Kind.HELD,
        Road.STOP,
        "take the protection against termination or stop off the instance in the EC2 console",
        "codes",
    ),
    # Not asked in earnest.
    Row("DryRunOperation", Kind.ALLOWED, Road.STOP, _AGAIN, "dry-run"),
    # Busy.
    Row("RequestLimitExceeded", Kind.BUSY, Road.RETRY, _WAIT, "throttling"),
    Row("Throttling", Kind.BUSY, Road.RETRY, _WAIT, "common"),
    Row("ThrottlingException", Kind.BUSY, Road.RETRY, _WAIT, "common"),
    Row("TooManyRequestsException", Kind.BUSY, Road.RETRY, _WAIT, "quotas"),
    Row("EC2ThrottledException", Kind.BUSY, Road.RETRY, _WAIT, "throttling"),
    Row("ConcurrentTagAccess", Kind.BUSY, Road.RETRY, _WAIT, "codes"),
    Row("InternalError", Kind.BUSY, Road.RETRY, "AWS has a fault of its own: " + _AGAIN, "codes"),
    Row("InternalFailure", Kind.BUSY, Road.RETRY, "AWS has a fault of its own: " + _AGAIN, "codes"),
    Row("InternalServerError", Kind.BUSY, Road.RETRY, "AWS has a fault of its own: " + _AGAIN, "common"),
    Row("ServiceUnavailable", Kind.BUSY, Road.RETRY, _WAIT, "codes"),
    Row("Unavailable", Kind.BUSY, Road.RETRY, _WAIT, "codes"),
    # No room, too cheap a bid, too small a quota.
    Row("InsufficientInstanceCapacity", Kind.CAPACITY, Road.ON_DEMAND, _TYPES, "launch", says_all=True),
    Row("UnfulfillableCapacity", Kind.CAPACITY, Road.ON_DEMAND, _TYPES, "karpenter", says_all=True),
    Row("InsufficientCapacityOnHost", Kind.CAPACITY, Road.STOP, _TYPES, "codes", says_all=True),
    Row("InsufficientHostCapacity", Kind.CAPACITY, Road.STOP, _TYPES, "codes", says_all=True),
    Row("SpotMaxPriceTooLow", Kind.PRICE, Road.ON_DEMAND, "bid more, or leave SPOT_BID out", "spot", says_all=True),
    Row("MaxSpotInstanceCountExceeded", Kind.QUOTA, Road.ON_DEMAND, _QUOTA, "spot-quota"),
    Row("VcpuLimitExceeded", Kind.QUOTA, Road.STOP, _QUOTA, "karpenter"),
    Row("InstanceLimitExceeded", Kind.QUOTA, Road.STOP, _QUOTA, "launch"),
    Row("VolumeLimitExceeded", Kind.QUOTA, Road.STOP, _LIMITS, "codes"),
    Row("SecurityGroupLimitExceeded", Kind.QUOTA, Road.STOP, _LIMITS, "codes"),
    Row("RulesPerSecurityGroupLimitExceeded", Kind.QUOTA, Road.STOP, "use fewer permissions or ports", "codes"),
    Row("ResourceLimitExceeded", Kind.QUOTA, Road.STOP, _LIMITS, "codes"),
    Row("Unsupported", Kind.POOL, Road.ELSEWHERE, _TYPES, "codes"),
    Row("InvalidFleetConfiguration", Kind.POOL, Road.ELSEWHERE, _TYPES, "fleet", about="not supported in your"),
    # Rights, credentials, account.
    Row("AuthFailure.ServiceLinkedRoleCreationNotPermitted", Kind.RIGHTS, Road.STOP, _LINKED_ROLE, "spot-role"),
    Row("UnauthorizedOperation", Kind.RIGHTS, Road.STOP, _POLICY, "decode"),
    Row("AccessDenied", Kind.RIGHTS, Road.STOP, _POLICY, "common"),
    Row("AccessDeniedException", Kind.RIGHTS, Road.STOP, _POLICY, "common"),
    Row("NotAuthorized", Kind.RIGHTS, Road.STOP, _POLICY, "common"),
    Row("InvalidAuthorizationMessageException", Kind.REQUEST, Road.STOP, _AGAIN, "decode"),
    Row("InvalidClientTokenId", Kind.LOGIN, Road.STOP, _KEYS, "common"),
    Row("UnrecognizedClientException", Kind.LOGIN, Road.STOP, _KEYS, "common"),
    Row(
        "SignatureDoesNotMatch",
        Kind.LOGIN,
        Road.STOP,
        "check the secret key, and that this computer's clock is right",
        "codes",
    ),
    Row(
        "RequestExpired",
        Kind.LOGIN,
        Road.STOP,
        "get new temporary credentials, and check that this computer's clock is right",
        "codes",
    ),
    Row("ExpiredToken", Kind.LOGIN, Road.STOP, _RENEW, "common"),
    Row("ExpiredTokenException", Kind.LOGIN, Road.STOP, _RENEW, "common"),
    Row("AuthFailure", Kind.ACCOUNT, Road.STOP, f"{_KEYS}, and the region must be enabled for the account", "regions"),
    Row("OptInRequired", Kind.ACCOUNT, Road.STOP, _REGION, "codes"),
    Row("PendingVerification", Kind.ACCOUNT, Road.STOP, "wait: AWS verifies the account, hours at most", "launch"),
    Row("Blocked", Kind.ACCOUNT, Road.STOP, "write to AWS: the account is blocked", "codes"),
    # The request, the image, the network.
    Row(
        "InvalidParameterCombination",
        Kind.ACCOUNT,
        Road.STOP,
        "name types that the free plan has (`aws ec2 describe-instance-types --filters"
        " Name=free-tier-eligible,Values=true`), or upgrade the account's plan",
        "free-plan",
        about="Free Tier",
    ),
    Row(
        "InvalidParameterValue",
        Kind.REQUEST,
        Road.STOP,
        "correct INSTANCE_PROFILE: the name of an instance profile, not of a role; one made just now takes a minute",
        "codes",
        about="nstance Profile",
    ),
    Row("InvalidParameterValue", Kind.REQUEST, Road.STOP, _SETTINGS, "codes"),
    Row("InvalidArnException", Kind.REQUEST, Road.STOP, "correct KMS_KEY", "kms"),
    Row("InvalidParameterCombination", Kind.REQUEST, Road.STOP, _SETTINGS, "codes"),
    Row("InvalidParameter", Kind.REQUEST, Road.STOP, _SETTINGS, "codes"),
    Row("MissingParameter", Kind.REQUEST, Road.STOP, _SETTINGS, "codes"),
    Row("ValidationException", Kind.REQUEST, Road.STOP, _SETTINGS, "common"),
    Row("UnsupportedOperation", Kind.REQUEST, Road.STOP, _SETTINGS, "codes"),
    Row("InvalidFleetConfig", Kind.REQUEST, Road.STOP, _SETTINGS, "fleet"),
    Row("InvalidFleetConfiguration", Kind.REQUEST, Road.STOP, _SETTINGS, "fleet"),
    Row("InvalidBlockDeviceMapping", Kind.REQUEST, Road.STOP, "correct ROOT_VOLUME_GB and ROOT_VOLUME_TYPE", "codes"),
    Row("InvalidUserData.Malformed", Kind.REQUEST, Road.STOP, "correct USERDATA_SCRIPTS", "codes"),
    Row("InvalidPermission.Malformed", Kind.REQUEST, Road.STOP, "correct the [permission] sections", "codes"),
    Row("TagLimitExceeded", Kind.REQUEST, Road.STOP, "shorten TAGS: a resource has 50 tags at most", "tags"),
    Row("FilterLimitExceeded", Kind.REQUEST, Road.STOP, "name fewer at once", "codes"),
    Row(
        "IdempotentParameterMismatch",
        Kind.REQUEST,
        Road.STOP,
        f"{_AGAIN}; if it stays, end the cluster with `clusterctl terminate NAME`",
        "idempotency",
    ),
    Row("IdempotentInstanceTerminated", Kind.REQUEST, Road.STOP, _AGAIN, "idempotency"),
    Row("InsufficientFreeAddressesInSubnet", Kind.NETWORK, Road.ELSEWHERE, _SUBNET, "codes"),
    Row("InvalidSubnet", Kind.NETWORK, Road.STOP, _SUBNET, "codes"),
    Row("VPCIdNotSpecified", Kind.NETWORK, Road.STOP, "set SUBNET_ID: the account has no default VPC", "codes"),
    Row("MissingInput", Kind.REQUEST, Road.STOP, _SETTINGS, "codes"),
    Row("InvalidTargetCapacitySpecification", Kind.REQUEST, Road.STOP, _SETTINGS, "fleet"),
    Row("InvalidAction", Kind.REQUEST, Road.STOP, "update clusterctl, or choose another region", "codes"),
    Row("InvalidNetworkInterface.NotFound", Kind.ABSENT, Road.STOP, _GONE, "codes"),
    # Families, for whatever else EC2 may say that is not there or in use.
    Row("*.NotFound", Kind.ABSENT, Road.AWAIT, _GONE, "codes"),
    Row("*.NotFoundException", Kind.ABSENT, Road.AWAIT, _GONE, "codes"),
    Row("*.Unknown", Kind.ABSENT, Road.AWAIT, _GONE, "codes"),
    Row("*.Unavailable", Kind.ABSENT, Road.STOP, _GONE, "codes"),
    Row("*InUse", Kind.HELD, Road.LET_GO, "run the same command again", "codes"),
)
