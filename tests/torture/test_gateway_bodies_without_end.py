"""Bodies that never end, as long as the gateway's patience really is."""

import socket
import time
from pathlib import Path

from ingest import limits
from tests.gateways import SECRET, prepared, running_gateway, wait_until_ready

HEAD = f"POST /v1/decisions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def test_a_body_that_drips_for_ever_is_given_up_and_the_gateway_goes_on(tmp_path: Path) -> None:
    with running_gateway(prepared(tmp_path)) as gateway:
        wait_until_ready(gateway)
        began_s = time.monotonic()
        with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=0.5) as connection:
            connection.sendall(HEAD)
            answer = b""
            while not answer and time.monotonic() - began_s < limits.BODY_READ_S_MAX + 10:
                connection.sendall(b"1\r\nx\r\n")
                try:
                    answer = connection.recv(1 << 16)
                except TimeoutError:
                    continue
        assert answer.startswith(b"HTTP/1.1 408")
        assert limits.BODY_READ_S_MAX <= time.monotonic() - began_s < limits.BODY_READ_S_MAX + 10
        assert "cz_gateway_in_flight_bytes 0.0" in gateway.get("/metrics").text
