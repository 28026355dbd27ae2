"""When work is due, so that a clock that was wrong and is set right puts nothing off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.core.retry_after import LONGEST_WAIT

AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
"""When that is due which is due at once, by any clock."""

LONGEST_PAUSE = timedelta(minutes=2)
"""More than any pause between two tries; what is put off for longer was so by a wrong clock."""

LONGEST_PUT_OFF = LONGEST_WAIT + LONGEST_PAUSE
"""The same for what waits for Slack, which says how long it wants to be left alone."""
