"""What was observed: chat logs read and checked, then collapsed to cells of exact sufficient statistics."""

from __future__ import annotations

from hitlbayes.chatlog.frame import Chats, Panel
from hitlbayes.chatlog.panel import panel
from hitlbayes.chatlog.read import read_chats

__all__ = ["Chats", "Panel", "panel", "read_chats"]
