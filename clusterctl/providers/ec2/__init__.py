"""Nodes that are instances of Amazon EC2. aws.py is the only file that knows boto3."""
