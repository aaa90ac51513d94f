"""A real Prometheus with refresher's rules, that scrapes a daemon every half second."""

import contextlib
import json
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from tests.programs import find_program
from tests.waiting import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
_LISTENING = re.compile(r'msg="Listening on" address=(\S+)')


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    client: httpx.Client

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now: each series' labels as `metric`, and its number."""
        result = self._get("/api/v1/query", query=expression)["result"]
        return [{**series["metric"], "": float(series["value"][1])} for series in result]

    def value(self, expression: str) -> float | None:
        """The number of an expression that gives at most one series."""
        series = self.query(expression)
        assert len(series) <= 1, series
        return series[0][""] if series else None

    def rules(self) -> list[dict[str, Any]]:
        """Every rule, with its health."""
        groups = self._get("/api/v1/rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get("/api/v1/targets")["activeTargets"]
        return found

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        response = self.client.get(path, params=parameters)
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()["data"]
        return data


@contextlib.contextmanager
def prometheus(*targets: str) -> Iterator[Prometheus]:
    """Run a Prometheus for these addresses, `host:port`, to the end of the block."""
    executable = find_program("prometheus")
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "prometheus.json")  # JSON is YAML
        config.write_text(
            json.dumps(
                {
                    "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
                    "rule_files": [str(DEPLOY / "prometheus" / "rules.yaml")],
                    "scrape_configs": [
                        {"job_name": "refresher", "static_configs": [{"targets": targets}]}
                    ],
                }
            )
        )
        arguments = [
            executable,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:0",
        ]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, encoding="utf-8") as process:
            assert process.stderr is not None
            log = _Log(process.stderr)
            try:
                address = wait_until(log.address, 30, what="prometheus to listen")
                with httpx.Client(base_url=f"http://{address}", trust_env=False) as client:
                    yield Prometheus(client)
            finally:
                process.kill()
                process.wait()
                log.join()


class _Log:
    """What it writes, read all the time."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def address(self) -> str | None:
        """Where it listens; None as long as it doesn't."""
        found = [match[1] for line in list(self._lines) if (match := _LISTENING.search(line))]
        return found[0] if found else None

    def join(self) -> None:
        self._thread.join()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.append(line)
