"""What is done to a node by scripts: services, facts, the users they run as. It works through a `Remote`."""
