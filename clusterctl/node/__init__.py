"""Work on nodes by scripts: services, facts, and the users that scripts run as. It uses a `Remote`."""
