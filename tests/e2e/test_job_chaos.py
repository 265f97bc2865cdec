"""What a job depends on is killed, and many short jobs are begun: a sample of `python -m tests.job_chaos`."""

from __future__ import annotations

import pytest

from .. import job_chaos

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.seeds(3)
def test_whatever_is_killed_a_job_ends_well_and_short_ones_keep_their_order(new_laptop, tmp_path, sample):
    laptop = new_laptop()
    ground = job_chaos.Ground(laptop.home, tmp_path / "code", sample.seed or 0)
    laptop.more["CLUSTERCTL_TUNNEL"] = "always"
    laptop.run("start", "-s", "2", "--set", "ipcluster.engines_per_node=1", ground.name)
    for kind in sample.of(job_chaos.KINDS, 1):
        job_chaos.kill_once(ground, kind)
    job_chaos.run_many(ground, 12)
