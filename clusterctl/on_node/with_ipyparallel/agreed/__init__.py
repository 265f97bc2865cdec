"""Names that those who talk to each other about the controller have agreed on."""
