"""The file of outcomes: what is whole stays, whatever happened behind it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterctl.clients.detached.records import BrokenRecordsError, Record, RecordReader, pack_record, read_places

RECORDS = st.lists(
    st.builds(Record, st.integers(0, 2**64 - 1), st.booleans(), st.binary(max_size=50)), min_size=1, max_size=8
)


@given(RECORDS, st.data())
def test_they_come_out_as_they_went_in_however_the_bytes_are_cut(records, data):
    content = b"".join(map(pack_record, records))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=5)))
    reader, read = RecordReader(), []
    for begin, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        read += reader.feed(content[begin:end])
    assert (read, reader.size) == (records, len(content))


@given(RECORDS, st.data())
def test_what_a_killed_process_has_written_in_part_is_not_counted(tmp_path_factory, records, data):
    whole = b"".join(map(pack_record, records[:-1]))
    last = pack_record(records[-1])
    file = tmp_path_factory.mktemp("records") / "results"
    file.write_bytes(whole + last[: data.draw(st.integers(0, len(last) - 1))])
    assert read_places(file) == ({record.place for record in records[:-1]}, len(whole))


@given(RECORDS, st.data())
def test_a_byte_that_differs_is_never_taken_for_a_record(records, data):
    content = bytearray(b"".join(map(pack_record, records)))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    reader, read = RecordReader(), []
    with suppress(BrokenRecordsError):
        read.extend(reader.feed(bytes(content)))
    assert read == records[: len(read)]
    assert len(read) < len(records)


def test_a_file_that_is_not_there_has_none(tmp_path):
    assert read_places(tmp_path / "results") == (set(), 0)


def test_garbage_is_no_record():
    with pytest.raises(BrokenRecordsError):
        list(RecordReader().feed(b"\xff" * 100))
