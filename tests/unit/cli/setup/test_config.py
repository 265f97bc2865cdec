"""`config show` shows what takes effect."""

from __future__ import annotations

import pytest

from clusterctl.plugin import loader
from clusterctl.wiring.context import load_context

TEXT = """
[cluster small]
provider = {provider}
hosts = a
plugins = ipcluster
[plugin packages]
packages = numpy
[plugin base]
sudo = yes
[plugin spot]
[plugin ipclusterstop]
"""


@pytest.mark.parametrize("provider", ["local", "docker", "static", "ec2"])
def test_the_options_of_every_plugin_that_acts_are_shown(run, tmp_path, provider):
    """Whether the template names it or not, with a section or without one."""
    file = tmp_path / "config"
    file.write_text(TEXT.format(provider=provider))
    context = load_context("lab", config_file=str(file), report=print)
    shown = run("-c", file, "config", "show", "--json").json["options"]
    plugins = {key.split(".")[1] for key in shown if key.startswith("plugin.")}
    acting = context.plugin_host.plugin_names
    with_options = {name for name in acting if loader.options_model(loader.find_plugin_class(name)).model_fields}
    assert "packages" in with_options
    assert with_options <= plugins
    assert "ipclusterstop" not in plugins
    assert shown["plugin.packages.packages"] == {
        "value": ["numpy"],
        "from": "file",
        "where": f"{file} [plugin packages]",
    }


def test_an_option_that_no_section_sets_has_its_default(run, tmp_path):
    file = tmp_path / "config"
    file.write_text("[cluster small]\nprovider = local\nplugins = ipcluster\n")
    out = run("-c", file, "config", "show").out
    assert "plugin.packages.packages" in out
    assert "plugin.ipcluster.enable_curve        yes  (default)" in out
