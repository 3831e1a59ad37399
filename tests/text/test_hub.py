"""Where the hub does not answer, it is asked once."""

import os
import socket
import subprocess
import sys
import threading

import pytest

CODE = """
from sista.errors import UserError
{load}
"""
LOADS = {
    "sentences": "from sista.text.transformer import transformer_vectors as f; a = ['no/a', ['b']]",
    "reports": "from sista.encoders.text import load_pretrained as f; a = ['no/a']",
}
CALL = "\ntry:\n    f(*a)\nexcept UserError as error:\n    print(error)\n"


@pytest.fixture
def deaf():
    """A server that hangs up, and the list of its calls."""
    calls = []
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            calls.append(1)
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}", calls
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


@pytest.mark.parametrize("load", LOADS)
def test_a_deaf_hub_is_called_once(load, deaf, tmp_path):
    address, calls = deaf
    kept = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "HF_HOME")}
    code = CODE.format(load=LOADS[load]) + CALL
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "download the hub id once with network access" in told.stdout
    assert len(calls) == 1
