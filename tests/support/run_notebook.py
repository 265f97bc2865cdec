"""Run a notebook's code cells in a kernel of a Jupyter server, as a browser does; prints each cell's output as JSON.

`python run_notebook.py http://HOST:PORT TOKEN NOTEBOOK`
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import websocket_connect

CELL_S = 30


async def ask(path, method="GET", body=None):
    request = HTTPRequest(
        f"{base}{path}",
        method=method,
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
        body=json.dumps(body) if body is not None else None,
        request_timeout=CELL_S,
    )
    response = await AsyncHTTPClient().fetch(request)
    return json.loads(response.body or "null")


async def execute(socket, code):
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": "execute_request", "username": "", "session": number, "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.write_message(json.dumps({**message, "buffers": []}))
    output = []
    while True:
        said = json.loads(await socket.read_message())
        if said["parent_header"].get("msg_id") != number:
            continue
        kind, content = said["header"]["msg_type"], said["content"]
        if kind == "stream":
            output.append(content["text"])
        elif kind in {"execute_result", "display_data"}:
            output.append(content["data"].get("text/plain", ""))
        elif kind == "error":
            raise SystemExit("\n".join(content["traceback"]))
        elif kind == "status" and content["execution_state"] == "idle":
            return "".join(output)


async def main():
    cells = (await ask(f"/api/contents/{notebook}"))["content"]["cells"]
    kernel = await ask("/api/kernels", "POST", {"name": "python3", "path": notebook})
    try:
        address = f"{base.replace('http', 'ws', 1)}/api/kernels/{kernel['id']}/channels?token={token}"
        socket = await websocket_connect(HTTPRequest(address, connect_timeout=CELL_S))
        sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
        outputs = [await asyncio.wait_for(execute(socket, source), CELL_S) for source in sources]
        socket.close()
    finally:
        await ask(f"/api/kernels/{kernel['id']}", "DELETE")
    print(json.dumps(outputs))


base, token, notebook = sys.argv[1:]
asyncio.run(main())
