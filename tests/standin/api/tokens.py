"""Client tokens: who asks again with the same token and parameters gets the same answer again.

From "Ensuring idempotency in Amazon EC2 API requests" of the EC2 developer guide: the same token and parameters return
the result of the first successful request, whatever became of the resource meanwhile; other parameters are refused with
IdempotentParameterMismatch. A request that failed uses its token up no more than one that never came. Since January
2025 EC2 answers RunInstances with IdempotentInstanceTerminated once the instances of its token have ended, as users
found and reported (boto3's issue 4406); of CreateFleet no such thing is known.

Simplified: tokens never expire here, and the token of RunInstances always counts for the region.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import wire

if TYPE_CHECKING:
    from collections.abc import Callable


class Tokens:
    """The answers by (action, region, token)."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str, str], tuple[str, wire.Answer]] = {}

    def once(
        self, request: wire.Request, act: Callable[[], wire.Answer], *, ended: Callable[[str], bool]
    ) -> wire.Answer:
        """The recorded answer, or that of `act`, which is kept if it was no error.

        `ended` says whether all that RunInstances made with a token has ended.
        """
        token = request.params.get("ClientToken") if request.service == "ec2" else None
        if not token:
            return act()
        key = (request.action, request.region, str(token))
        asked = _canonical(request.params)
        if key in self._answers:
            before, answer = self._answers[key]
            if request.action == "RunInstances" and ended(str(token)):
                raise wire.AwsError(
                    "IdempotentInstanceTerminated",
                    "The client token you have provided is associated with a terminated instance. Please use a"
                    " different client token.",
                )
            if before != asked:
                raise wire.AwsError(
                    "IdempotentParameterMismatch",
                    "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
                )
            return answer
        answer = act()
        if not answer.error:
            self._answers[key] = (asked, answer)
        return answer


def _canonical(params: Any) -> str:
    return json.dumps({k: v for k, v in params.items() if k != "DryRun"}, sort_keys=True, default=str)
