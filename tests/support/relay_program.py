"""A program whose input and output are a connection: `relay_program.py HOST PORT [PIDFILE]`. Chatty on its stderr."""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

if len(sys.argv) > 3:
    Path(sys.argv[3]).write_text(str(os.getpid()))
print("relay: on the way", file=sys.stderr, flush=True)
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as far:

    def back():
        for data in iter(lambda: far.recv(65536), b""):
            print("relay: some more", file=sys.stderr, flush=True)
            view = memoryview(data)
            while view:
                view = view[os.write(1, view) :]
        os._exit(0)

    threading.Thread(target=back, daemon=True).start()
    for data in iter(lambda: os.read(0, 65536), b""):
        far.sendall(data)
