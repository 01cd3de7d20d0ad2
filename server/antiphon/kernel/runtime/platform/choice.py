"""Whether this process takes the plain ways of any system; chosen once, by the system or ANTIPHON_PORTABLE=1."""

import os
import sys
from typing import Final

PORTABLE: Final[bool] = sys.platform != "linux" or os.environ.get("ANTIPHON_PORTABLE", "") not in ("", "0")
