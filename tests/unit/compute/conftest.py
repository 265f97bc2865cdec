from __future__ import annotations

import pytest

from clusterctl.compute.dispatch import Dispatcher
from clusterctl.compute.pool import Options, Pool

from ...support.light_channel import LightChannel


@pytest.fixture
def make_pool(monkeypatch):
    """A pool on so many light engines, and the channel to them."""
    channels = []

    def make(engines=3, *, wait_s=60.0, **options):
        channel = LightChannel(engines)
        channels.append(channel)
        dispatcher = Dispatcher(channel, wait_s=wait_s)
        monkeypatch.setattr(Dispatcher, "of", lambda client: dispatcher)
        return Pool(Options(**options), client=None), channel

    yield make
    for channel in channels:
        channel.close()
