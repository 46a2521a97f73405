"""A chat with the facts that the paper states of its hypothetical one (Figure A2), and another beside it.

Stated are the first and the last message, their times, the rating, 3 rounds and 8 messages; what was said in
between is ours, and so are the clicks.
"""

from __future__ import annotations

import pandas as pd

CHAT = 1
DAY = "2024-08-15 "
SAID = [
    ("09:00:30", "worker", "Hello, you are connected to your service representative."),
    ("09:01:00", "customer", "My parcel has not come."),
    ("09:01:12", "worker", "Let me look it up."),
    ("09:02:00", "customer", "订单 SF1234，谢谢"),
    ("09:02:30", "worker", "It is on its way and comes tomorrow."),
    ("09:04:00", "customer", "Who will bring it?"),
    ("09:04:18", "worker", "The courier calls before."),
    ("09:05:30", "customer", "Got it. This makes sense. Thank you!"),
]
# The worker's clicks: in the focal chat from 09:00:30, away 09:01:15-09:02:10 and 09:02:40-09:04:05.
CLICKS = [
    ("09:00:30", 1), ("09:01:05", 1), ("09:01:15", 2), ("09:01:40", 2), ("09:02:10", 1), ("09:02:40", 2),
    ("09:04:05", 1), ("09:05:30", 2),
]  # fmt: skip


def messages() -> pd.DataFrame:
    """The hypothetical chat (1), and another of the same worker (2) from 08:59:00 to 09:06:00."""
    frame = pd.DataFrame(SAID, columns=["time", "sender", "text"]).assign(chat_id=1)
    other = pd.DataFrame(
        {
            "time": ["08:59:00", "09:06:00"],
            "sender": ["customer", "worker"],
            "text": ["hello", "hi"],
            "chat_id": 2,
        }
    )
    both = pd.concat([frame, other], ignore_index=True)
    return both.assign(time=pd.to_datetime(DAY + both["time"]))


def clicks() -> pd.DataFrame:
    """What the worker clicked, and in which chat."""
    frame = pd.DataFrame(CLICKS, columns=["time", "chat_id"])
    return frame.assign(time=pd.to_datetime(DAY + frame["time"]), worker_id="w1", action="click")


def sessions() -> pd.DataFrame:
    """What the session log knows of the hypothetical chat."""
    return pd.DataFrame({"chat_id": [1], "rating": [3], "treated": [1]})
