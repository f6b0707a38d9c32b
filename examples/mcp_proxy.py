"""An MCP client that talks to a server through `cz mcp-proxy`: neither the client nor the server knows of the policy.

python -m examples.mcp_proxy
"""

import asyncio
import os
import sys
from pathlib import Path

from mcp import Client, StdioServerParameters

HERE = Path(__file__).parent
SERVER = [sys.executable, str(HERE / "notes_server.py")]
PROXY = ["-m", "cz", "mcp-proxy", "--server", "notes", "--agent", "desk-assistant", "--", *SERVER]


async def main() -> None:
    own = {name: value for name, value in os.environ.items() if name.startswith("CONTROLZERO_")}
    policy = {"CONTROLZERO_POLICY_FILE": str(HERE / "policies" / "mcp_proxy.json")}
    async with Client(StdioServerParameters(command=sys.executable, args=PROXY, env=own | policy)) as client:
        for tool in ("read_note", "erase_note", "read_note"):
            answer = await client.call_tool(tool, {"day": "monday"})
            print(f"{tool}: {'refused' if answer.is_error else 'answered'}: {answer.content[0].text}")


if __name__ == "__main__":
    asyncio.run(main())
