"""Logging in to AWS: what a profile may ask, where its temporary credentials are kept, and what helps if it fails."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from clusterctl.files import expand_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

_CACHE = "~/.aws/cli/cache"
"""Where the program `aws` keeps the temporary credentials of roles: who gave it a code is not asked here again."""
_SSO = "run `aws sso login{profile}`"
_LOGIN = "run `aws login{profile}`"
_PROFILE = "correct AWS_PROFILE, or the profile in ~/.aws/config; `aws configure list-profiles` shows those there are"
_ANY = "run `aws configure` or `aws sso login`, set AWS_PROFILE, or put AWS_PROFILE into [aws]"
_REMEDIES: Mapping[str, str] = {
    **dict.fromkeys(("UnauthorizedSSOTokenError", "SSOTokenLoadError", "TokenRetrievalError", "SSOError"), _SSO),
    "LoginInsufficientPermissions": "let somebody allow signin:CreateOAuth2Token, then run `aws login{profile}`",
    "LoginError": _LOGIN,
    "ProfileNotFound": _PROFILE,
    **dict.fromkeys(("InvalidConfigError", "InfiniteLoopConfigError", "ConfigParseError"), _PROFILE),
    **dict.fromkeys(("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"), _ANY),
}
"""What helps, by the name of botocore's exception, or of one that it derives from. Older versions lack some."""


def prepare_roles(session: Any, *, may_ask: bool) -> None:
    """Let roles keep their temporary credentials where `aws` keeps them, and ask for codes (MFA) only at a terminal.

    Args:
        session: of botocore, with its profile.
        may_ask: False: nobody is asked anything, as when a user waits for TAB completion.
    """
    from botocore.credentials import JSONFileCache

    provider = session.get_component("credential_provider").get_provider("assume-role")
    folder = expand_path(_CACHE)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            provider.cache = JSONFileCache(str(folder))
    except OSError:
        pass  # they are asked for anew, then
    if not (may_ask and sys.stdin is not None and sys.stdin.isatty()):
        provider._prompter = _refuse_to_ask  # noqa: SLF001  botocore has no other way in


def _refuse_to_ask(prompt: str) -> NoReturn:
    from botocore.exceptions import CredentialRetrievalError

    del prompt
    raise CredentialRetrievalError(
        provider="assume-role",
        error_msg="it asks for a code (MFA), and there is no terminal to ask at; `aws sts get-caller-identity` with the"
        " same profile asks, and what it gets is used here for an hour",
    )


def explain_login(exc: Exception, profile: str | None) -> tuple[str, str] | None:
    """Return what to tell of an error of botocore, and what helps; None if it is not about logging in.

    Args:
        exc: the error.
        profile: the profile that was named; None if none was.
    """
    names = [kind.__name__ for kind in type(exc).__mro__]
    if "MissingDependencyException" in names:
        return (
            f"the profile needs what is not installed here: {exc}",
            "run `pip install 'botocore[crt]'` in clusterctl's environment, or log in with `aws sso login`",
        )
    remedy = next((_REMEDIES[name] for name in names if name in _REMEDIES), None)
    if remedy is None:
        return None
    name = profile or os.environ.get("AWS_PROFILE") or ""
    option = f" --profile {name}" if name else ""
    return f"there are no AWS credentials that work: {exc}", remedy.format(profile=option)
