"""Resources of an account: list, audit, make and delete them."""
