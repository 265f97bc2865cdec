"""What a spot instance asks about its end, in a file that runs anywhere: python3 metadata_service.py FOLDER [PORT].

FOLDER/port is where it listens. FOLDER/notice, once it is there, is the notice, and FOLDER/rebalance the recommendation
to replace the instance. FOLDER/asked has a line for each question. Who asks without a token, or with one that is in
FOLDER/expired, is refused.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FILES = {
    "/latest/meta-data/spot/instance-action": "notice",
    "/latest/meta-data/events/recommendations/rebalance": "rebalance",
}


class Answers(BaseHTTPRequestHandler):
    """Version 2 of the instance metadata service."""

    folder = Path()
    tokens: list = []

    def do_PUT(self):
        asked = (self.path, self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"))
        if asked[0] != "/latest/api/token" or not 1 <= int(asked[1] or 0) <= 21600:
            return self.say(400, "")
        self.tokens.append(f"token{len(self.tokens)}")
        return self.say(200, self.tokens[-1])

    def do_GET(self):
        token = self.headers.get("X-aws-ec2-metadata-token")
        if token not in self.tokens or token in self.text("expired").split():
            return self.say(401, "")
        answer = self.text(FILES.get(self.path, ""))
        return self.say(200, answer) if answer else self.say(404, "not found")

    def text(self, name):
        try:
            return (self.folder / name).read_text()
        except OSError:
            return ""

    def say(self, code, body):
        with (self.folder / "asked").open("a") as file:
            file.write(f"{self.command} {self.path} {code}\n")
        self.send_response(code)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def server(folder, port=0):
    """A server that is ready to serve."""
    answers = type("Answers", (Answers,), {"folder": Path(folder), "tokens": []})
    made = ThreadingHTTPServer(("127.0.0.1", port), answers)
    (Path(folder) / "port").write_text(str(made.server_port))
    return made


if __name__ == "__main__":
    server(sys.argv[1], *map(int, sys.argv[2:])).serve_forever()
