"""The keys that are offered to an SSH server, and the error where it accepts none of them."""

from __future__ import annotations

import base64
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.errors import RefusedError, RemoteError
from clusterctl.identity import known_hosts
from clusterctl.identity.endpoints import format_endpoint
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.model import Node

_DEFAULT_MAX_TRIES = 5
"""An SSH server hangs up by default after more tries than these."""


class Credentials:
    """Offers keys to a server, one after the other, once its host key is known to be right."""

    def __init__(self, node: Node, user: str, key: str, *, offer_others: bool, server: str = "") -> None:
        """Choose the keys to offer.

        Args:
            node: the node to reach.
            user: the user to log in as.
            key: the file of the private key that comes first; empty for none.
            offer_others: offer the keys of the user's agent and ``~/.ssh``, too.
            server: the server to name in messages, if it is not the node itself.
        """
        self._node = node
        self._user = user
        self._key = key
        self._offer_others = offer_others
        self._server = server or format_endpoint(node.address, node.port)
        self._refusals = 0
        self._answered = False

    def authenticate(self, transport: Any) -> None:
        """Log in, or raise paramiko's AuthenticationException. paramiko calls this method."""
        import paramiko

        for key in self._keys_to_offer():
            try:
                more = transport.auth_publickey(self._user, key)
            except paramiko.SSHException:
                self._refusals += 1
                if not transport.is_active():
                    raise
                continue
            if not more:
                return
        self._answered = True
        raise paramiko.AuthenticationException("no key was let in")

    def login_error(self, *, final: bool) -> RemoteError:
        """Return the error for a login that failed.

        Args:
            final: True if the server will give the same answer later.
        """
        too_many = self._refusals > _DEFAULT_MAX_TRIES
        remedy = f"let one of them in there (~/.ssh/authorized_keys), or correct USER ({self._user}) or KEY_LOCATION"
        if too_many:
            remedy = "your ssh agent may offer more keys than that server wants to see: name one with KEY_LOCATION"
        # A server that hangs up before it has refused every key may still be booting, and accept root only.
        kind = RefusedError if final and (self._answered or too_many) else RemoteError
        return kind(
            f"{self._node.alias}: {self._user} is not let in at {self._server}: {plural(self._refusals, 'key')} tried",
            remedy=remedy,
            node=self._node.alias,
        )

    def _keys_to_offer(self) -> Iterator[Any]:
        """Yield the named key, then those of the agent and of ``~/.ssh`` if they are wanted."""
        import paramiko

        if self._key:
            yield from self._named_key(Path(self._key))
        if not self._offer_others:
            return
        with closing(paramiko.Agent()) as agent:
            known = [*agent.get_keys()]
            yield from known
            for path in known_hosts.private_keys():
                with suppress(_UnreadableError):  # a key with a passphrase is left to the agent
                    key = _load_key(path)
                    if key not in known and str(path) != self._key:
                        yield key

    def _named_key(self, path: Path) -> Iterator[Any]:
        """Yield the key that was named. A key with a passphrase is taken from the agent, as ssh does."""
        import paramiko

        try:
            yield _load_key(path)
        except _LockedError:
            with closing(paramiko.Agent()) as agent:
                wanted = _read_public_half(path)
                held = [key for key in agent.get_keys() if wanted in (None, key.asbytes())]
                if not held:
                    raise RefusedError(
                        f"{self._node.alias}: the key {path} has a passphrase, and no ssh agent holds it",
                        remedy=f"start one if there is none (eval $(ssh-agent)), then: ssh-add {path}",
                        node=self._node.alias,
                    ) from None
                yield from held
        except _UnreadableError as exc:
            raise RefusedError(
                f"{self._node.alias}: the key {path} cannot be used: {exc}",
                remedy="name another one with KEY_LOCATION; "
                f"the cluster's own is made by `clusterctl start {self._node.cluster}`",
                node=self._node.alias,
            ) from exc


class _UnreadableError(Exception):
    """A file from which no private key can be read."""


class _LockedError(_UnreadableError):
    """A private key with a passphrase."""


def _load_key(path: Path) -> Any:
    import paramiko

    try:
        return paramiko.PKey.from_path(path)
    except (TypeError, paramiko.PasswordRequiredException) as exc:  # the libraries below raise either of them
        raise _LockedError(str(exc)) from exc
    except OSError as exc:
        raise _UnreadableError(exc.strerror or str(exc)) from exc
    except Exception as exc:  # any error of theirs about a file that holds no key
        raise _UnreadableError(f"{type(exc).__name__}: {exc}") from exc


def _read_public_half(path: Path) -> bytes | None:
    """Return the public key from the ``.pub`` file beside a private key, or None."""
    try:
        return base64.b64decode(path.with_name(f"{path.name}.pub").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
