"""What is looked at before a launch, so that a start is refused before it costs money: see `run.CHECKS`."""
