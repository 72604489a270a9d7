"""`python -m rcm_lakehouse.demo api` serves the made-up reference services."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import requests

LIB = Path(__file__).resolve().parents[2] / "lib"


def test_the_command_serves_all_three_services_until_it_is_interrupted() -> None:
    command = [sys.executable, "-u", "-m", "rcm_lakehouse.demo", "api", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(LIB)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(4)]
        urls = [match[0] for line in lines if (match := re.search(r"http://127\.0\.0\.1:\d+\S*", line))]
        with requests.Session() as session:
            session.trust_env = False
            found = session.get(urls[0], params={"version": "2.1", "number": "2000000115"}, timeout=10).json()
            codes = session.get(urls[1], params={"terms": "E11"}, timeout=10).json()
            refused = session.get(urls[2], timeout=10).status_code
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=20) == 0
    assert "demo-client" in lines[3]
    assert found["result_count"] in (0, 1)
    assert codes[0] == len(codes[3]) > 0
    assert refused == 401


def test_a_port_that_is_taken_is_told_in_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "rcm_lakehouse.demo", "api", "--port", port]
        ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(LIB)}, timeout=60, check=False)
    assert ended.returncode == 2
    assert f"port {port} cannot be listened on" in ended.stderr
