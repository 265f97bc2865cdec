"""What `doctor` examines, from the config file, the command line and the files of this laptop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.operations.doctor.examine import Patient
from clusterctl.text import plural
from clusterctl.wiring.client import warn_of_other_python
from clusterctl.wiring.clusters import resolve_cluster
from clusterctl.wiring.context import lenient_context, load_context
from clusterctl.wiring.local_paths import config_path, home_folder
from clusterctl.wiring.settings import check_config

if TYPE_CHECKING:
    from clusterctl.events import Reporter
    from clusterctl.operations.context import RunContext

_NEW = "doctor"
"""The name of the cluster that a start is thought of for. None is made."""


def make_patient(name: str | None, *, config_file: str | None, report: Reporter) -> Patient:
    """Return what there is to examine.

    Args:
        name: the cluster that the user named, if any.
        config_file: the config file as given on the command line.
        report: tells the user what is done.
    """

    def load_cluster(cluster: str) -> tuple[RunContext, str]:
        return lenient_context(cluster, config_file=config_file, report=report)

    return Patient(
        home=home_folder(),
        check_config=lambda: _describe_config(config_file),
        load_start=lambda cluster: load_context(cluster or _NEW, config_file=config_file, report=report),
        find_cluster=lambda: resolve_cluster(name),
        load_cluster=load_cluster,
        compare_python=warn_of_other_python,
        named=name is not None,
    )


def _describe_config(config_file: str | None) -> str:
    path = config_path(config_file)
    checked = check_config(path)
    templates = plural(len(checked.templates), "cluster template")
    return f"{path}: {templates}" if path else f"there is none; the built-in {templates} is used"
