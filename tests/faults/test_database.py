"""F08: a database that restarts under load, and the server that does not."""

from __future__ import annotations

import pytest

from tests.folders import open_folder
from tests.kill.rounds import rounds


@pytest.mark.long
async def test_f08_a_restart_is_answered_503_and_what_is_sent_again_has_one_effect() -> None:
    """Wrong answers, silence, messages in part or twice are the verdict's; the server is never restarted."""
    with open_folder("restart", in_memory=True) as folder:
        outcome = await rounds(folder, ["immediate"] * 4)
    assert outcome.problems == []
    assert outcome.refused.keys() == {503}
