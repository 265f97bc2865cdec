"""Asking the metadata service of an instance, from the instance."""


def ask_for_token(*, timeout_s: int) -> str:
    """A shell command that prints True if the service hands out a token, and fails silently if it does not answer."""
    return (
        'python3 -c \'import urllib.request as u; r = u.Request("http://169.254.169.254/latest/api/token",'
        ' method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"});'
        f" print(len(u.urlopen(r, timeout={timeout_s}).read()) > 0)' 2>/dev/null"
    )
