"""What clusterctl does, each operation read from top to bottom. Nothing here prints, prompts or exits."""
