"""Tags go to AWS and come back as they were."""

from __future__ import annotations

from clusterctl.providers.ec2 import tags


def test_tags_come_back_as_they_were_written():
    mapping = {tags.CLUSTER: "lab", tags.OWNER: "ann@desk", tags.NAME: "lab master"}
    assert tags.tags_of({"Tags": tags.tag_list(mapping)}) == mapping
    assert tags.tags_of({"TagSet": tags.tag_list(mapping)}) == mapping


def test_a_resource_without_tags_has_none():
    assert tags.tags_of({}) == tags.tags_of({"Tags": None}) == tags.tags_of({"Tags": []}) == {}


def test_each_kind_is_tagged_at_birth():
    made = tags.tag_specifications({tags.UUID: "u"}, "instance", "volume")
    assert [entry["ResourceType"] for entry in made] == ["instance", "volume"]
    assert all(entry["Tags"] == [{"Key": "clusterctl:uuid", "Value": "u"}] for entry in made)


def test_a_filter_takes_any_of_its_values_or_whatever_has_the_tag():
    assert tags.filter_by(tags.UUID, "a", "b") == {"Name": "tag:clusterctl:uuid", "Values": ["a", "b"]}
    assert tags.filter_by(tags.UUID) == {"Name": "tag-key", "Values": ["clusterctl:uuid"]}


def test_every_tag_but_the_name_says_that_it_is_ours():
    written = {value for name, value in vars(tags).items() if name.isupper() and isinstance(value, str)}
    keys = {value for value in written if ":" in value} - {tags.PREFIX}
    assert len(keys) == 15
    assert all(key.startswith(tags.PREFIX) for key in keys)
