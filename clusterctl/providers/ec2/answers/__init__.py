"""What AWS answers when it does not say yes: one table of error codes, and how a code is looked up in it."""
