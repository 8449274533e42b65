"""Drives wrk (https://github.com/wg/wrk, Debian's package): a list of requests, turn about, and the latencies."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_LUA = """
local requests = {}
for line in io.lines(%(file)s) do
  local method, path, cookie, body = line:match("^(%%S+) (%%S+) (%%S+) ?(.*)$")
  requests[#requests + 1] = {method, path, body, cookie}
end
local n = 0
local started = 0
function setup(thread) thread:set("offset", started); started = started + 1 end
function init() n = offset * 7919 end
function request()
  n = n + 1
  local r = requests[n %% #requests + 1]
  if r[5] then return r[5] end
  local body, headers = nil, wrk.headers
  if r[4] ~= "-" then
    headers = {Cookie = r[4]}
    for name, value in pairs(wrk.headers) do headers[name] = value end
  end
  if r[3] ~= "" then body = (r[3]:gsub("@", string.format("%%d-%%d", offset, n))) end
  local made = wrk.format(r[1], r[2], headers, body)
  if not r[3]:find("@") then r[5] = made end
  return made
end
local bad = 0
function done(summary, latency, requests)
  io.write(string.format(
    '\\n{"requests":%%d,"us":%%d,"errors":%%d,"p50":%%d,"p95":%%d,"p99":%%d}\\n', summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request; `@` in the body becomes a number that no other request has."""

    method: str
    path: str
    body: str = ""
    cookie: str = "-"


@dataclass(frozen=True, slots=True)
class Figure:
    """What came of a workload: requests a second and latencies in milliseconds."""

    rate: float
    p50: float
    p95: float
    p99: float
    errors: int


def run(base: str, headers: dict[str, str], asks: list[Ask], *, connections: int, seconds: float) -> Figure:
    """Send the requests over and over from `connections` connections; `path` stands below `base`."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("bench: wrk is not installed (apt install wrk)")
    host = "/".join(base.split("/")[:3])
    prefix = base[len(host) :]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [f"{ask.method} {prefix}{ask.path} {ask.cookie} {ask.body}".rstrip() for ask in asks]
        (folder / "requests").write_text("\n".join(lines) + "\n", encoding="utf-8")
        script = folder / "run.lua"
        script.write_text(_LUA % {"file": json.dumps(str(folder / "requests"))})
        command = [
            wrk,
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--timeout",
            "30s",
            "-s",
            str(script),
        ]
        for key, value in headers.items():
            command += ["-H", f"{key}: {value}"]
        done = subprocess.run([*command, host], capture_output=True, text=True, check=False)  # noqa: S603 - fixed program
    if done.returncode != 0:
        raise SystemExit(f"bench: wrk failed: {(done.stdout + done.stderr)[-1000:]}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return Figure(
        rate=told["requests"] / (told["us"] / 1e6),
        p50=told["p50"] / 1000,
        p95=told["p95"] / 1000,
        p99=told["p99"] / 1000,
        errors=told["errors"],
    )
