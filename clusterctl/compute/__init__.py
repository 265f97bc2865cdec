"""Maps over engines: what is cut, sent, lost, sent again, cancelled, and handed out in order."""
