"""The provider for instances of Amazon EC2. aws.py is the only file that imports boto3."""

from __future__ import annotations

from clusterctl.providers.ec2.options import Options as Ec2Options
from clusterctl.providers.ec2.options import Permission
from clusterctl.providers.ec2.provider import Ec2Provider

__all__ = ["Ec2Options", "Ec2Provider", "Permission"]
