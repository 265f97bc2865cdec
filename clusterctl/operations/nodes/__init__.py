"""What users do on nodes: log in, run commands, copy files, open ways there."""
