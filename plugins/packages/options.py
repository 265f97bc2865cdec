"""The options of the `packages` plugin."""

from __future__ import annotations

from clusterctl.api import CommaList, ExpandedPath, Field, Flag, PathList, SecretText, Section


class Options(Section):
    """The options of the `packages` plugin."""

    packages: CommaList = Field((), description="requirements to install on every node, as pip writes them")
    added: CommaList = Field((), description="requirements that `clusterctl install` has added to one cluster")
    requirements: PathList = Field(
        (), description="requirements.txt files on this computer, with all they include", examples=["requirements.txt"]
    )
    pyproject: ExpandedPath | None = Field(
        None, description="pyproject.toml whose project's dependencies are installed", examples=["pyproject.toml"]
    )
    extras: CommaList = Field((), description="extras of that project to install too", examples=["plot, test"])
    environment: ExpandedPath | None = Field(
        None, description="conda environment.yml whose `pip:` part is installed", examples=["environment.yml"]
    )
    sync: Flag = Field(
        default=False,
        description="repeat this computer's environment: the active one ($VIRTUAL_ENV, $CONDA_PREFIX),"
        " else that of clusterctl",
    )
    sync_exclude: CommaList = Field((), description="packages that SYNC leaves out", examples=["pyobjc, torch"])
    index_url: SecretText | None = Field(
        None,
        description="package index instead of PyPI; may hold user:password@, which is never shown",
        examples=["https://pypi.example.org/simple"],
    )
    extra_index_urls: SecretText | None = Field(
        None, description="further indexes, separated by commas; each is asked before INDEX_URL"
    )
    find_links: CommaList = Field(
        (),
        description="wheelhouses: URLs of pages with links to wheels, or folders that this computer and the nodes have",
        examples=["https://wheels.example.org/"],
    )
    no_index: Flag = Field(default=False, description="ask no index: all packages are in FIND_LINKS")
    lock_max_age: float = Field(
        24.0,
        ge=0,
        le=87_600,
        description="hours for which a lock made for the same packages is used again without asking the index",
    )
