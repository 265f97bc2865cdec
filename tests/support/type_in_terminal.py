"""Type a line into a terminal of a Jupyter server; print what it shows until a word comes.

`python type_in_terminal.py http://HOST:PORT TOKEN LINE WORD`
"""

from __future__ import annotations

import asyncio
import json
import sys

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

LONGEST_S = 30


async def main():
    headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
    request = HTTPRequest(f"{base}/api/terminals", method="POST", headers=headers, body="{}", request_timeout=LONGEST_S)
    name = json.loads((await AsyncHTTPClient().fetch(request)).body)["name"]
    address = f"{base.replace('http', 'ws', 1)}/terminals/websocket/{name}?token={token}"
    socket = await websocket_connect(HTTPRequest(address, connect_timeout=LONGEST_S))
    await socket.write_message(json.dumps(["stdin", f"{line}\r"]))
    shown = ""
    while word not in shown:
        kind, *words = json.loads(await asyncio.wait_for(socket.read_message(), LONGEST_S))
        shown += words[0] if kind == "stdout" else ""
    print(shown)
    await AsyncHTTPClient().fetch(HTTPRequest(f"{base}/api/terminals/{name}", method="DELETE", headers=headers))


base, token, line, word = sys.argv[1:]
asyncio.run(main())
