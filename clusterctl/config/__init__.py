"""INI text to checked settings: the sections, how they refer to each other, and every problem in them at once."""
