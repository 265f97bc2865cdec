"""The command `completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from clusterctl.cli.needed import needed


@click.command()
@needed("shell", type=click.Choice(["bash", "zsh", "fish"]), example="bash")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  eval "$(clusterctl completion bash)"
    zsh:   eval "$(clusterctl completion zsh)"
    fish:  clusterctl completion fish | source
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    root = ctx.find_root().command
    click.echo(kind(root, {}, "clusterctl", "_CLUSTERCTL_COMPLETE").source())
