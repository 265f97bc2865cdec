"""What things cost and how many may run: prices, the price list, service quotas."""
