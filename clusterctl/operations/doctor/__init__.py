"""`doctor`: looks at laptop, config, credentials, network, nodes and services, and says what to type."""
