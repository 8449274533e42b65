"""Faults around the server, by the rows of group F: the stated answer, nothing lost, no half, no hand work.

| row | where |
|---|---|
| F01 kills, F08 database restarts | tests/kill, `./run bench kill`, test_database.py |
| F02 kill inside COMMIT | by chance in tests/kill: kills come within 50 ms of an answer; there are no break-points |
| F04 fsync fails, F05 disk full | test_disk.py; a power cut (tests/kill/test_power.py) gives EIO to every fsync |
| F07 read-only | as F05 to PostgreSQL; no file system here can be turned while files are open for writing |
| F11 clock steps | test_clock.py |
| F13 a delivery a hundred times, F14 every order | tests/exchange |
| F16 nesting, F17 large, half-sent and unread bodies | test_bodies.py, tests/fhir |
| F19, F20 a thousand writers | tests/api/test_at_once.py |
| F22 stale If-Match on a conditional update | tests/api/test_conditions.py |
| F26, Z44 an exception at every call of policy, log and storage | test_injected.py |

docs/security-cases.md lists the rows without a test, and why.
"""
