"""The frequentist twin is made without a change to anything that a user would see."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import logging
from hitlbayes.frequentist import fixest
feols = fixest().feols
root = logging.getLogger()
print(root.handlers, root.level == logging.WARNING, callable(feols))
"""


def test_messages_of_other_packages_stay_as_they_were():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "True", "True"]
