"""Launches as clusterctl does, for the tests of the stand-in: a template, then a fleet or instances from it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any


@dataclass
class Launcher:
    """Launches as clusterctl does: a template, then a fleet or a single instance from it."""

    ec2: Any
    image: str
    template: str = ""

    def make_template(self, **data):
        made = self.ec2.create_launch_template(
            LaunchTemplateName=f"template{len(data)}",
            LaunchTemplateData={"ImageId": self.image, "UserData": base64.b64encode(b"#!/bin/sh").decode(), **data},
        )
        self.template = made["LaunchTemplate"]["LaunchTemplateId"]
        return self.template

    def fleet(self, count=2, *, types=("c7i.large",), market="spot", overrides=None, **more):
        if not self.template:
            self.make_template()
        return self.ec2.create_fleet(
            **{
                "Type": "instant",
                "TargetCapacitySpecification": {"TotalTargetCapacity": count, "DefaultTargetCapacityType": market},
                "LaunchTemplateConfigs": [
                    {
                        "LaunchTemplateSpecification": {"LaunchTemplateId": self.template, "Version": "$Latest"},
                        "Overrides": overrides or [{"InstanceType": name} for name in types],
                    }
                ],
                **more,
            }
        )

    def run(self, count=1, **more):
        return self.ec2.run_instances(
            **{"ImageId": self.image, "InstanceType": "c7i.large", "MinCount": count, "MaxCount": count, **more}
        )["Instances"]

    def all(self, **asked):
        found = self.ec2.describe_instances(**asked)["Reservations"]
        return [instance for reservation in found for instance in reservation["Instances"]]


def ids_of(fleet):
    return [identity for each in fleet["Instances"] for identity in each["InstanceIds"]]
