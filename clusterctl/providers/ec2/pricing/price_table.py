"""Prices of a certain day, used if AWS refuses the price list or does not answer. Figures only; no calls.

On demand, Linux, shared tenancy, in USD an hour. Within a family the price is proportional to the size (an xlarge is
two large). Families with GPUs have a price for each size.

Sources, as read in November 2026:

- us-east-1: the price file of 2026-07-20 in https://github.com/aws/karpenter-provider-aws
  (pkg/providers/pricing/zz_generated.pricing_aws.go), which is made from AWS's price list.
- The other regions: the price file of 2025-03-02 in Apache Libcloud 3.9.1 (libcloud/data/pricing.json), made from AWS's
  price list too. For some types it has the price of a dedicated instance, or none; a figure is only taken where several
  sizes of the family agree on it and none is lower. Families with GPUs: what they cost there by what they cost in
  us-east-1, to four digits.
- gp3 disks: AWS's price list as quoted in public repositories of 2026 for eu-central-1 and ap-northeast-1;
  https://c3x.dev/resources/aws/aws_ebs_volume for the United States, and several fallback tables in public repositories
  that agree for eu-west-1. Other regions and kinds are left out: no two sources agreed.
- Public IPv4 addresses: 0.005 an hour each since 2024-02-01, in all regions
  (https://aws.amazon.com/blogs/aws/new-aws-public-ipv4-address-charge-public-ip-insights/).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLIC_IPV4_USD = Decimal("0.005")
"""Price of a public IPv4 address, in USD an hour, used or not."""

_DEAR = 3

_DATED = {"us-east-1": "2026-07-20"}
_DATED_ELSE = "2025-03-02"

_REGIONS = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1"),
    *("eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1"),
    *("ap-northeast-1", "ap-southeast-1", "ap-southeast-2", "ap-south-1", "sa-east-1"),
)

# The price of a large in each of the regions.
_LARGE = """
c5       .085   .085   .106   .085   .093   .096   .101   .101   .097   .091   .107   .098   .111   .085   .131
c5a      .077   .077   .095   .077   .084   .086   .091   .091   .087   .082   .096   .088   .1     .047   .118
c5d      .096   .096   .12    .096   .106   .109   .115   .115   .111   .104   .122   .112   .126   .099   .149
c5n      .108   .108   .135   .108   .118   .122   .128   .128   .123   .116   .136   .124   .141   .108   .166
c6a      .0765  .0765  .0954  .0765  .0837  .08208 .0909  -      .0873  -      .0963  .0882  .0999  .04675 .1179
c6g      .068   .068   .0848  .068   .0744  .07296 .0808  .0858  .0776  .073   .0856  .0784  .0888  .0426  .1048
c6i      .085   .085   .106   .085   .093   .0912  .101   -      .097   .091   .107   .098   .111   .085   .131
c6id     .1008  .1008  -      .1008  .1113  .11445 .12075 -      .11655 -      .1281  .1176  .1323  -      .15645
c6in     .1134  .1134  .14175 .1134  .1239  .1281  .1344  .1344  .12915 .1218  .1428  .1302  .14805 .1134  .1743
c7a      .10264 .10264 -      .10264 -      .11012 -      -      .11713 .10988 .1292  -      -      -      -
c7g      .0725  .07226 .0901  .0725  .07906 .07752 .08586 .08586 .08245 .07736 .09096 .0833  .09436 .04908 .11108
c7gd     .09072 .09072 .1134  .09072 -      .103   -      -      .1049  .09828 .1153  .10584 .11908 .0576  -
c7gn     .1248  .1248  -      .1248  -      .141   -      -      -      -      .1574  -      -      -      -
c7i      .08925 .08925 .1113  .08925 .09765 .09576 .10605 .10605 .10185 .09555 .11235 .1029  .11655 .08925 .13755
c7i-flex .08479 .08479 .10574 .08479 .09277 .09097 .10075 .10075 .09676 .09077 .10673 .09778 .11072 .08479 .13067
c8a      .10777 -      -      -      -      -      -      -      -      -      -      -      -      -      -
c8g      .07976 .07948 -      .07976 -      .08528 -      -      .0907  .0851  -      -      -      -      -
c8i      .09371 -      -      -      -      -      -      -      -      -      -      -      -      -      -
c8i-flex .08902 -      -      -      -      -      -      -      -      -      -      -      -      -      -
i3       .156   .156   .172   .156   .172   .172   .181   .181   .186   .163   .183   .187   .187   .177   .249
i3en     .226   .226   .25    .226   .25    .25    .263   .263   .27    .237   .266   .271   .271   .257   .36
i4i      .1716  .1716  -      .1716  -      -      .1991  .1991  .2046  .1793  .2013  .20573 .20572 .1947  .2739
m4       .1     .1     .117   .1     .111   .111   .116   -      .12    -      .129   .125   .125   .105   .159
m5       .096   .096   .112   .096   .107   .107   .111   .112   .115   .102   .124   .12    .12    .101   .153
m5a      .086   .086   .101   .086   .096   .096   .1     .101   .104   -      .112   .108   .108   -      .138
m5d      .113   .113   .133   .113   .126   .126   .131   .132   .136   .12    .146   .141   .142   .122   .18
m6a      .0864  .0864  .1008  .0864  .0963  .0963  .0999  .1008  .1035  -      .1116  .108   .108   .05555 .1377
m6g      .077   .077   .0896  .077   .0856  .086   .0888  .09    .092   .082   .099   .096   .096   .0506  .1224
m6i      .096   .096   .112   .096   .107   .107   .111   .112   .115   .102   .124   .12    .12    .101   .153
m6id     .11865 .11865 -      .11865 .1323  .1323  .13755 -      .1428  -      .1533  .14805 .1491  .1281  .189
m7a      .11592 .11592 -      .11592 -      .1292  -      -      .13886 .12316 .14973 -      -      -      -
m7g      .0816  .0816  .0952  .0816  .09096 .09095 .09436 .0952  .09776 .0867  .1054  .102   .102   .05832 .13005
m7gd     .10679 .10679 .12569 .10679 -      .11907 -      .12474 .12853 .1134  -      .13325 .1342  .071   .1701
m7i      .1008  .1008  .1176  .1008  .11235 .11235 .11655 .1176  .12075 .1071  .1302  .126   .126   .10605 .16065
m7i-flex .09576 .09576 .11172 .09576 .10673 .10673 .11072 .11172 .11471 .10175 .12369 .1197  .1197  .10075 .15262
m8a      .12172 -      -      -      -      -      -      -      -      -      -      -      -      -      -
m8g      .08976 .08976 -      .08976 -      -      .1038  -      .10754 .09538 -      -      -      -      -
m8i      .10584 -      -      -      -      -      -      -      -      -      -      -      -      -      -
m8i-flex .10055 -      -      -      -      -      -      -      -      -      -      -      -      -      -
r4       .133   .133   -      .133   .146   .14819 .156   .156   .16005 -      .16    .16    .1596  .137   .28
r5       .126   .126   .14    .126   .138   .141   .148   .148   .152   .134   .152   .152   .151   .13    .201
r5a      .113   .113   .126   .113   .124   .127   .133   .133   .137   -      .137   .136   .136   -      .181
r5d      .144   .144   .162   .144   .158   .16    .169   .169   .173   .152   .174   .174   .174   .151   .228
r6a      .1134  .1134  .126   .1134  .1242  .1269  -      -      .1368  -      .1368  .1368  .1359  .0715  -
r6g      .1008  .1008  .112   .1008  .1104  .1128  .1184  .118   .1216  .107   .1216  .1216  .1208  .065   .1608
r6i      .126   .126   .14    .126   .138   .141   .148   .148   .152   .134   .152   .152   .151   .13    .201
r6id     .1512  .1512  -      .1512  -      .168   .17745 -      .18165 -      .1827  .1827  .174   .1586  -
r7a      .15215 .15215 -      .15215 -      .17026 -      -      .18354 .1618  .18354 -      -      -      -
r7g      .1071  .1071  .119   .1071  .1173  .11985 .1258  -      .1292  .1139  .1292  .1292  .12836 .07508 .17044
r7i      .1323  .1323  .147   .1323  .1449  .14805 .1554  .1554  .1596  .1407  .1596  .1596  .15855 .1365  .21105
r7iz     .186   .186   -      .186   -      .208   -      -      .225   -      .227   -      -      -      -
r8a      .15976 -      -      -      -      -      -      -      -      -      -      -      -      -      -
r8g      .11782 .11782 -      .11782 -      .13184 -      -      .14212 .12529 .14212 -      .1412  .08258 -
r8i      .13892 -      -      -      -      -      -      -      -      -      -      -      -      -      -
r8i-flex .13197 -      -      -      -      -      -      -      -      -      -      -      -      -      -
t3       .0832  .0832  .0992  .0832  .0928  .0912  .0944  .0944  .096   .0864  .1088  .1056  .1056  .0896  .1344
t3a      .0752  .0752  -      .0752  -      .0816  .08495 .08495 .0864  -      -      .0944  -      -      -
t4g      .0672  .0672  .08    .0672  .0736  .0736  .0752  .0752  .0768  .0688  .0864  .0848  .0848  .0448  .1072
z1d      .186   .186   .211   .186   -      .208   .21971 -      .225   -      .227   .226   .226   .196   -
"""

# The price of each size in us-east-1, and below it the factor of the family in each region.
_SIZES = """
g4dn xlarge .526 2xlarge .752 4xlarge 1.204 8xlarge 2.176 12xlarge 3.912 16xlarge 4.352
g5   xlarge 1.006 2xlarge 1.212 4xlarge 1.624 8xlarge 2.448 12xlarge 5.672 16xlarge 4.096 24xlarge 8.144 48xlarge 16.288
g6   xlarge .8048 2xlarge .9776 4xlarge 1.3232 8xlarge 2.0144 12xlarge 4.6016 16xlarge 3.3968 24xlarge 6.6752
g6e  xlarge 1.861 2xlarge 2.24208 4xlarge 3.00424 8xlarge 4.52856 12xlarge 10.49264 16xlarge 7.57719 24xlarge 15.06559
"""
_BY_REGION = """
g4dn     1      1      1.1999 1      1.1103 1.115  1.17   1.1691 1.25   1.0609 1.3502 1.3994 1.3003 1.1007 1.6997
g5       1      1      -      1      1.1103 1.1163 1.2694 -      1.2505 1.0606 1.4503 -      1.3002 1.2008 1.6998
g6       1      1      -      1      1.1103 -      1.2694 1.2694 1.2505 1.0606 1.4503 -      1.3002 1.2008 1.6998
g6e      1      1      -      1      -      -      -      -      1.2504 1.0607 1.4503 -      -      -      -
"""

_GP3_GB_MONTH = """
us-east-1 .08  us-east-2 .08  us-west-2 .08  eu-west-1 .088  eu-central-1 .0952  ap-northeast-1 .096
"""

_STEPS = {
    "nano": Decimal(1) / 16,
    "micro": Decimal(1) / 8,
    "small": Decimal(1) / 4,
    "medium": Decimal(1) / 2,
    "large": Decimal(1),
    "xlarge": Decimal(2),
}
"""The size in units of large; an Nxlarge is N xlarge."""
_PLACES = Decimal("0.00001")


def price_date(region: str) -> str:
    """Return the date of a region's prices, in ISO 8601."""
    return _DATED.get(region, _DATED_ELSE)


def on_demand_price(instance_type: str, region: str) -> Decimal | None:
    """Return the on-demand price of an instance type, in USD an hour; None if the table does not have it."""
    family, _, size = instance_type.partition(".")
    large = _in_region(_LARGE, family, region)
    if large is not None:
        steps = _in_units_of_large(size)
        return None if steps is None else (large * steps).quantize(_PLACES)
    price, factor = _prices_by_name(_find_row(_SIZES, family)).get(size), _in_region(_BY_REGION, family, region)
    return None if price is None or factor is None else (price * factor).quantize(_PLACES)


def leave_dear_out(instance_types: Sequence[str], region: str) -> tuple[str, ...]:
    """Return the types that cost at most three times what the cheapest one does; all if no price is known.

    A fleet takes what is there, and GPUs of two kinds can differ a hundredfold.
    """
    prices = {name: price for name in instance_types if (price := on_demand_price(name, region)) is not None}
    most = min(prices.values(), default=Decimal(0)) * _DEAR
    return tuple(name for name, price in prices.items() if price <= most) or tuple(instance_types)


def disk_price(volume_type: str, region: str) -> Decimal | None:
    """Return the price of a GB for a month, in USD; None if the table does not have it."""
    return _prices_by_name(_GP3_GB_MONTH.split()).get(region) if volume_type == "gp3" else None


def _in_units_of_large(size: str) -> Decimal | None:
    several = re.fullmatch(r"(\d+)xlarge", size)
    return 2 * Decimal(several[1]) if several else _STEPS.get(size)


def _find_row(table: str, family: str) -> list[str]:
    rows = (line.split() for line in table.strip().splitlines())
    return next((words[1:] for words in rows if words[0] == family), [])


def _in_region(table: str, family: str, region: str) -> Decimal | None:
    word = dict(zip(_REGIONS, _find_row(table, family), strict=False)).get(region, "-")
    return None if word == "-" else Decimal(word)


def _prices_by_name(words: list[str]) -> dict[str, Decimal]:
    return {name: Decimal(price) for name, price in zip(words[::2], words[1::2], strict=True)}
