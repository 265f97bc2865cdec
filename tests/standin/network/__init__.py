"""What instances are launched into: subnets, security groups, placement groups."""
