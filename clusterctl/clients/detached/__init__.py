"""Maps that go on without who began them: they run on the master, which keeps what is done."""
