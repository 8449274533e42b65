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

Not yet, and why: F10 (no replica yet) · F23 (the declared rule is that a source alone writes its own resources, so
If-Match is its choice) · F25, F26, F32 (fault injection at every allocation and call: the trust issue's) · F28 (no
second copy to repair from; PostgreSQL's page checksums are on) · F29 (tests/api compares searches with reading
everything; no sampler at run time) · F31 (72 hours) · F34 (processes share the embedded server by design, and the
sequencer has one holder).
"""
