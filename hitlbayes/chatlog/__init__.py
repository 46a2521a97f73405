"""What was observed: chat logs read and checked, then collapsed to cells of exact sufficient statistics."""

from __future__ import annotations

from hitlbayes.chatlog.frame import Chats, Panel
from hitlbayes.chatlog.logged import LoggedChats
from hitlbayes.chatlog.logs import chats_from_logs
from hitlbayes.chatlog.panel import panel
from hitlbayes.chatlog.read import read_chats
from hitlbayes.chatlog.retrials import retrials
from hitlbayes.chatlog.subset import flag_crossing, without

__all__ = [
    "Chats",
    "LoggedChats",
    "Panel",
    "chats_from_logs",
    "flag_crossing",
    "panel",
    "read_chats",
    "retrials",
    "without",
]
