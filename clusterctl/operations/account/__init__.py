"""Operations on what an AWS account has besides clusters: key pairs, volumes, consoles, leftovers."""
