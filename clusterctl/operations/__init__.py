"""The operations of clusterctl. Each one reads from top to bottom. Nothing here prints, prompts or exits."""
