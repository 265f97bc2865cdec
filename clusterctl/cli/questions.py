"""The questions before nodes go. Each says what goes with them, and what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clusterctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clusterctl.operations.leave import Losses

_NAMED, _LONGEST = 5, 60
"""Of jobs and files: how many, and how much of each."""
_HOMES = "the disks with the homes on them"


def ask_terminate(losses: Sequence[Losses], *, force: bool = False) -> str:
    """Return the question of `terminate`. With `force` nothing is fetched before."""
    ends = [[_describe_end(loss, disks=_homes_of(loss)), *_file_sentences(loss, force=force)] for loss in losses]
    return _join_question("End", losses, [". ".join(sentences) for sentences in ends])


def ask_stop(losses: Sequence[Losses]) -> str:
    """Return the question of `stop`."""
    offs = [_join_words([plural(len(loss.nodes), "node"), *_work_words(loss)]) for loss in losses]
    stays = [_join_words(_homes_of(loss)) for loss in losses]
    texts = [f"{off} go off; {stay} stay" for off, stay in zip(offs, stays, strict=True)]
    return _join_question("Stop", losses, texts)


def ask_restart(losses: Sequence[Losses]) -> str:
    """Return the question of `restart`."""
    texts = [f"{_join_words([plural(len(loss.nodes), 'node'), *_work_words(loss)])} start anew" for loss in losses]
    return _join_question("Restart", losses, texts)


def ask_anew(cluster: str, endings: Sequence[str]) -> str:
    """Return the question of a command with which something starts anew on a cluster that runs."""
    return f"Other packages or options for {cluster}: {_join_words(endings)} start anew. Go on?"


def ask_remove(losses: Losses) -> str:
    """Return the question of `removenode`."""
    end = _describe_end(losses, disks=["the disks"])
    return f"Remove {', '.join(losses.nodes)} from {losses.cluster}? {end}. Go on?"


def _describe_end(losses: Losses, *, disks: Sequence[str]) -> str:
    """Return what goes for good and what stays, such as ``3 nodes, 6 engines with ... and the disks go for good``."""
    volumes = [f"the volumes {', '.join(losses.volumes)}"] if losses.volumes else []
    if losses.lasting:
        going = [*_work_words(losses), "all that the cluster set up"]
        return f"{_join_words(going)} will be gone; {_join_words(['the machines', *disks, *volumes])} stay"
    going = [plural(len(losses.nodes), "node"), *_work_words(losses), *disks]
    return f"{_join_words(going)} will be gone for good" + (f"; {volumes[0]} stay" if volumes else "")


def _homes_of(losses: Losses) -> list[str]:
    """Return the disks, and what the homes are on."""
    return ["the disks", losses.home] if losses.home else [_HOMES]


def _work_words(losses: Losses) -> list[str]:
    """Return the words for engines and jobs, those that there are."""
    words = [f"{plural(losses.engines, 'engine')} with what is in memory"] if losses.engines else []
    if jobs := losses.jobs.under_way:
        words.append(f"{plural(len(jobs), 'job')} not over ({_name_some(jobs)})")
    return words


def _file_sentences(losses: Losses, *, force: bool) -> list[str]:
    """Return what becomes of files that `--fetch` has named, those that are not fetched yet."""
    coming = () if force else losses.jobs.wanted
    going = (*(losses.jobs.wanted if force else ()), *losses.jobs.wanted_elsewhere)
    lost = "Files of jobs that are not fetched" if losses.lasting else "Files of jobs that are not fetched go, too"
    words = {"Files of jobs that come to this computer before": coming, lost: going}
    return [f"{heading}: {_name_some(names)}" for heading, names in words.items() if names]


def _name_some(names: Sequence[str]) -> str:
    """Return the first of these, cut where they are long, and how many more there are."""
    named = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names[:_NAMED]]
    return "; ".join([*named, *([f"{len(names) - _NAMED} more"] if len(names) > _NAMED else [])])


def _join_question(verb: str, losses: Sequence[Losses], texts: Sequence[str]) -> str:
    names = ", ".join(loss.cluster for loss in losses)
    if len(losses) == 1:
        return f"{verb} {names}? {texts[0]}. Go on?"
    sentences = ". ".join(f"{loss.cluster}: {text}" for loss, text in zip(losses, texts, strict=True))
    return f"{verb} {names}? {sentences}. Go on?"


def _join_words(words: Sequence[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])
