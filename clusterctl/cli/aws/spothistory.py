"""The command `spothistory`."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clusterctl.cli.arguments import Dollars, json_option, region_option
from clusterctl.cli.charts import text as price_text
from clusterctl.cli.charts.svg import PriceMark, render_price_svg
from clusterctl.cli.needed import needed
from clusterctl.cli.output import show_json
from clusterctl.cli.terminal import echo
from clusterctl.clock import utc_now
from clusterctl.errors import UsageError
from clusterctl.providers.ec2.pricing.price_list import look_up_prices
from clusterctl.providers.ec2.pricing.spot_history import list_price_histories
from clusterctl.wiring import ec2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from clusterctl.providers.ec2.pricing.spot_history import PriceHistory

_DAYS = 7


def _refuse_classic(_ctx: click.Context, parameter: click.Parameter, value: object) -> None:
    if value:
        raise UsageError(
            f"spothistory {parameter.opts[-1]} was StarCluster's and is gone",
            remedy="leave it out: all prices are those of VPCs",
        )


@click.command()
@needed("types", metavar="TYPE...", nargs=-1, example="c7i.large")
@click.option("-z", "--zone", default="", help="Only this zone.")
@click.option("-d", "--days", type=click.IntRange(1, 90), help=f"The last days, up to now; default: {_DAYS}.")
@click.option("-s", "--start-time", "start", metavar="TIME", help="From when on, as 2026-11-20T08:00 in UTC.")
@click.option("-e", "--end-time", "end", metavar="TIME", help="Until when; default: now.")
@click.option(
    "-p",
    "--plot",
    is_flag=False,
    flag_value="spothistory-{types}.svg",
    metavar="[FILE.svg]",
    type=click.Path(),
    help="Draw them into a file, too; default: spothistory-TYPE.svg.",
)
@click.option("-b", "--bid", type=Dollars(), help="Draw this bid in USD an hour, too.")
@click.option("-v", "--vpc", is_flag=True, hidden=True, expose_value=False, callback=_refuse_classic)
@click.option("-c", "--classic", is_flag=True, hidden=True, expose_value=False, callback=_refuse_classic)
@region_option
@json_option
@click.pass_context
def spothistory(
    ctx: click.Context,
    types: Sequence[str],
    zone: str,
    days: int | None,
    start: str | None,
    end: str | None,
    plot: str | None,
    bid: Decimal | None,
    region: str | None,
    *,
    as_json: bool,
) -> None:
    """Show how the spot prices of instance types went, zone by zone."""
    kinds = list(dict.fromkeys(types))
    began, ended = _parse_period(days, start, end)
    file = _plot_path(plot, kinds)
    if bid is not None and not file:
        raise UsageError("-b is a line in the picture, and none is drawn", remedy="add --plot, behind all types")
    aws = ec2.open_account(ctx.obj.config, region)
    histories = list_price_histories(aws, kinds, start=began, end=ended, zone=zone)
    if file:
        marks = _marks(look_up_prices(aws, kinds), kinds, bid)
        _draw_plot(file, render_price_svg(histories, place=aws.region, start=began, end=ended, marks=marks))
    if as_json:
        show_json(_prices_json(histories, place=aws.region, start=began, end=ended, file=file))
    else:
        _show_prices(histories, place=aws.region, start=began, end=ended)
        if file:
            echo(f"drawn: {file}")


def _parse_period(days: int | None, start: str | None, end: str | None) -> tuple[datetime, datetime]:
    now = utc_now()
    if days is not None and start is not None:
        raise UsageError("-d and -s both say when it begins", remedy="leave one of them out")
    ended = min(now, _parse_time(end)) if end else now
    began = _parse_time(start) if start else ended - timedelta(days=days or _DAYS)
    if began >= ended:
        raise UsageError(f"{began:%Y-%m-%dT%H:%M} is not before {ended:%Y-%m-%dT%H:%M}", remedy="swap -s and -e")
    return began, ended


def _parse_time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        raise UsageError(
            f"{text}: not a time", remedy="write 2026-11-20 or 2026-11-20T08:00, in UTC unless it says otherwise"
        ) from None
    return moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)


def _plot_path(plot: str | None, kinds: Sequence[str]) -> Path | None:
    if plot is None:
        return None
    path = Path(plot.replace("{types}", "-".join(kinds)))
    if path.suffix != ".svg":
        raise UsageError(f"{plot} is no SVG file", remedy="name a FILE.svg, or write --plot behind all types")
    return path


def _marks(on_demand: Mapping[str, Decimal], kinds: Sequence[str], bid: Decimal | None) -> list[PriceMark]:
    """Return the prices that are compared with: on demand, of the types whose price is known, and the bid."""
    of = {kind: f" {kind}" if len(kinds) > 1 else "" for kind in kinds}
    marks = [PriceMark(f"on demand{of[kind]}", float(on_demand[kind])) for kind in kinds if kind in on_demand]
    return marks if bid is None else [*marks, PriceMark("bid", float(bid))]


def _draw_plot(file: Path, picture: str) -> None:
    try:
        file.write_text(picture, encoding="utf-8")
    except OSError as exc:
        raise UsageError(f"cannot write {file}: {exc.strerror}", remedy="name another file with --plot") from exc


def _show_prices(histories: Sequence[PriceHistory], *, place: str, start: datetime, end: datetime) -> None:
    echo(f"{place}, spot prices in USD an hour, {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC\n")
    if _is_terminal():
        for line in price_text.draw_charts(histories, start=start, end=end):
            echo(line)
    for line in price_text.format_prices(histories):
        echo(line)


def _is_terminal() -> bool:
    """Return whether stdout is a terminal that shows the Unicode characters of a drawing."""
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf")


def _prices_json(
    histories: Sequence[PriceHistory], *, place: str, start: datetime, end: datetime, file: Path | None
) -> dict[str, object]:
    return {
        "region": place,
        "start": start.isoformat(timespec="seconds"),
        "end": end.isoformat(timespec="seconds"),
        "plot": file,
        "prices": [
            {
                "type": course.instance_type,
                "zone": course.zone,
                "current_usd": float(course.last),
                "min_usd": float(course.lowest),
                "mean_usd": round(float(course.mean), 6),
                "max_usd": float(course.highest),
                "changes": [
                    {"time": change.since.isoformat(timespec="seconds"), "usd": float(change.usd)}
                    for change in course.changes
                ],
            }
            for course in histories
        ],
    }
