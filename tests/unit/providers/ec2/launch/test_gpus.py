"""Types with so many GPUs: by the stand-in's table, which is what AWS says of its types."""

from __future__ import annotations

import pytest

from clusterctl.errors import ProviderError


def test_one_gpu_is_the_smallest_of_each_family_that_is_not_far_dearer(lab):
    found = lab.provider().find_gpu_types("jobs", 1)
    assert {"g4dn.xlarge", "g6.xlarge"} <= set(found)
    assert not [name for name in found if not name.startswith("g")], "p5.4xlarge has one too, at ten times the price"
    assert len({name.partition(".")[0] for name in found}) == len(found)


def test_eight_are_eight(lab):
    found = lab.provider().find_gpu_types("jobs", 8)
    assert "g6.48xlarge" in found
    assert "g6.xlarge" not in found


def test_a_number_that_no_type_has_is_refused(lab):
    with pytest.raises(ProviderError, match="has 3 GPUs"):
        lab.provider().find_gpu_types("jobs", 3)
