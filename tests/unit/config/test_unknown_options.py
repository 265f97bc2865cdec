"""An option that its section does not have: the section that has it is named, or the name that is meant."""

import pytest

from clusterctl.config import loading
from clusterctl.errors import ConfigError
from clusterctl.plugin.loader import find_plugin_class

SECTIONS = (
    "global",
    "aws",
    "key k",
    "host h",
    "volume v",
    "permission p",
    "cluster a",
    "plugin packages",
    "plugin pmi",
)
HOMES = {
    "DEFAULT_TEMPLATE": "[global]",
    "INCLUDE": "[global]",
    "AWS_REGION_NAME": "[aws]",
    "AWS_SECRET_ACCESS_KEY": "[aws]",
    "HOST_KEY": "[host NAME]",
    "MOUNT_PATH": "[volume NAME]",
    "CIDR_IP": "[permission NAME]",
    "DNS_PREFIX": "[cluster NAME]",
    "KEYNAME": "[cluster NAME]",
    "PLUGINS": "[cluster NAME]",
    "SPOT_BID": "[cluster NAME]",
    "DISABLE_QUEUE": "[cluster NAME]",
    "AWS_REGION_HOST": "[aws]",
    "EC2_CERT": "[aws]",
    "SETUP_CLASS": "[plugin NAME]",
    "REQUIREMENTS": "[plugin packages]",
    "ENGINES_PER_NODE": "[plugin ipcluster]",
    "NOTEBOOK_PASSWD": "[plugin ipcluster]",
    "USERNAMES": "[plugin users]",
}


def problems(tmp_path, text, **overrides):
    file = tmp_path / "config"
    file.write_text(text)
    given = {"overrides": overrides} if overrides else {}
    read = loading.read_config if overrides else loading.check_config
    with pytest.raises(ConfigError) as caught:
        read(file, environ={}, find_plugin=find_plugin_class, **given)
    return [problem.removeprefix(f"{file}: ") for problem in caught.value.problems]


@pytest.mark.parametrize("key", HOMES)
def test_an_option_in_any_wrong_section_names_the_right_one(tmp_path, key):
    kind = HOMES[key].strip("[]").removesuffix(" NAME")
    wrong = [title for title in SECTIONS if not title.startswith(kind)]
    text = "".join(f"[{title}]\n{key} = x\n" for title in wrong)
    text = text.replace("[plugin pmi]", "[plugin pmi]\nSETUP_CLASS = ipclusterstop")
    text += "" if "[cluster a]" in text else "[cluster a]\n"
    told = problems(tmp_path, text)
    for title in wrong:
        if key == "SETUP_CLASS" and title.startswith("plugin"):
            continue
        (problem,) = [problem for problem in told if problem.startswith(f"[{title}] {key}: ")]
        assert "unknown option" in problem
        assert problem.endswith(f"; it belongs into {HOMES[key]}")


def test_one_that_two_sections_have_names_both(tmp_path):
    (problem,) = problems(tmp_path, "[cluster a]\n[aws]\nKEY_LOCATION = x\n")
    assert problem == "[aws] KEY_LOCATION: unknown option; it belongs into [key NAME] or [host NAME]"


def test_one_that_is_misspelt_too_names_the_nearest_and_its_section(tmp_path):
    assert problems(tmp_path, "[cluster a]\nAWS_REGION_NMAE = x\n") == [
        "[cluster a] AWS_REGION_NMAE: unknown option (did you mean AWS_REGION_NAME in [aws]?)"
    ]


def test_on_the_command_line_too(tmp_path):
    told = problems(tmp_path, "[cluster a]\n", **{"packages.cluster_size": "3"})
    assert told == ["command line: packages.cluster_size: unknown option; it belongs into [cluster NAME]"]


def test_in_the_environment_too(tmp_path):
    file = tmp_path / "config"
    file.write_text("[cluster a]\n")
    with pytest.raises(ConfigError, match=r"CLUSTERCTL_PACKAGES: .*\[plugin packages\] of a config file; unset it"):
        loading.read_config(file, environ={"CLUSTERCTL_PACKAGES": "six"}, find_plugin=find_plugin_class)


def test_one_that_no_section_has_lists_a_few_names_and_never_forty(tmp_path):
    first, second = problems(tmp_path, "[cluster a]\nXYZZY = 1\n[key k]\nXYZZY = 1\n")
    assert "clusterctl config init" in first
    assert len(first) < 150
    assert second == "[key k] XYZZY: unknown option; there are KEY_LOCATION"


def test_no_value_of_a_misplaced_option_is_shown(tmp_path):
    assert "hunter2" not in str(problems(tmp_path, "[cluster a]\nAWS_SECRET_ACCESS_KEY = hunter2\n"))
