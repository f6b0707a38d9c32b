"""A gateway as far as the sender can tell, and as little of one as can be: what it costs is not what is measured.

`python -m benchmarks.guard_receiver BUNDLE HEADERS` prints its port; the files hold the bundle and the headers it comes with.
"""

import asyncio
import sys
from functools import partial
from pathlib import Path

WAIT_S = 20  # how long a request that waits for a new bundle is held
ACCEPTED = b'{"accepted":0,"rejected":[]}'


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, bundle: bytes, headers: bytes) -> None:
    """Answer the requests of one connection."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            await reader.readexactly(int(lengths[0]) if lengths else 0)
            if head.startswith(b"GET"):
                await asyncio.sleep(WAIT_S if b"wait_s" in head else 0)
                writer.write(b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (headers, len(bundle), bundle))
            else:
                writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: %d\r\n\r\n%s" % (len(ACCEPTED), ACCEPTED))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass


async def main(bundle: bytes, headers: bytes) -> None:
    """Serve on a free port of this machine until killed."""
    server = await asyncio.start_server(partial(serve, bundle=bundle, headers=headers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*(Path(name).read_bytes() for name in sys.argv[1:3])))
