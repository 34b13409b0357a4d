"""Found through PYTHONPATH by every interpreter that a test starts: the guard holds there too."""

import network_guard

network_guard.install()
