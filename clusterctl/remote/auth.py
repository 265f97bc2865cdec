"""The keys that are offered to an SSH server, and what to tell where it takes none of them."""

from __future__ import annotations

import base64
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusterctl.errors import RefusedError, RemoteError
from clusterctl.identity import known_hosts
from clusterctl.identity.endpoints import written
from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.model import Node

_USUAL_TRIES = 5
"""One more, and an SSH server hangs up by default."""


class Credentials:
    """Offers keys to a server, one after the other, once its host key is known to be right."""

    def __init__(self, node: Node, user: str, key: str, *, others: bool, where: str = "") -> None:
        """Keys to offer.

        Args:
            node: that is being reached.
            user: who logs in.
            key: file of the private key that comes first; empty for none.
            others: offer those of the user's agent and ``~/.ssh``, too.
            where: what is logged in to, if not the node.
        """
        self._node = node
        self._user = user
        self._key = key
        self._others = others
        self._where = where or written(node.address, node.port)
        self._refused = 0
        self._answered = False

    def authenticate(self, transport: Any) -> None:
        """Log in, or raise paramiko's AuthenticationException. Called by paramiko."""
        import paramiko

        for offered in self._offered():
            try:
                more = transport.auth_publickey(self._user, offered)
            except paramiko.SSHException:
                self._refused += 1
                if not transport.is_active():
                    raise
                continue
            if not more:
                return
        self._answered = True
        raise paramiko.AuthenticationException("no key was let in")

    def refusal(self, *, final: bool) -> RemoteError:
        """What to tell of a login that failed.

        Args:
            final: a server that answers here will not answer otherwise later.
        """
        too_many = self._refused > _USUAL_TRIES
        remedy = f"let one of them in there (~/.ssh/authorized_keys), or correct USER ({self._user}) or KEY_LOCATION"
        if too_many:
            remedy = "your ssh agent may offer more keys than that server wants to see: name one with KEY_LOCATION"
        # One that hangs up without having refused everything may be booting, and let nobody in yet but root.
        kind = RefusedError if final and (self._answered or too_many) else RemoteError
        return kind(
            f"{self._node.alias}: {self._user} is not let in at {self._where}: {plural(self._refused, 'key')} tried",
            remedy=remedy,
            node=self._node.alias,
        )

    def _offered(self) -> Iterator[Any]:
        import paramiko

        if self._key:
            yield from self._first(Path(self._key))
        if not self._others:
            return
        with closing(paramiko.Agent()) as agent:
            known = [*agent.get_keys()]
            yield from known
            for path in known_hosts.private_keys():
                with suppress(_UnreadableError):  # one with a passphrase is the agent's business
                    key = _load(path)
                    if key not in known and str(path) != self._key:
                        yield key

    def _first(self, path: Path) -> Iterator[Any]:
        """The key that was named; one with a passphrase is looked for in the agent, as ssh does."""
        import paramiko

        try:
            yield _load(path)
        except _LockedError:
            with closing(paramiko.Agent()) as agent:
                wanted = _public_part(path)
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
    """No private key could be read from a file."""


class _LockedError(_UnreadableError):
    """It has a passphrase."""


def _load(path: Path) -> Any:
    import paramiko

    try:
        return paramiko.PKey.from_path(path)
    except (TypeError, paramiko.PasswordRequiredException) as exc:  # the libraries below say so in either way
        raise _LockedError(str(exc)) from exc
    except OSError as exc:
        raise _UnreadableError(exc.strerror or str(exc)) from exc
    except Exception as exc:  # whatever they make of a file that is none
        raise _UnreadableError(f"{type(exc).__name__}: {exc}") from exc


def _public_part(path: Path) -> bytes | None:
    """The public key beside a private one, or None."""
    try:
        return base64.b64decode(path.with_name(f"{path.name}.pub").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
