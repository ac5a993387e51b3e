"""`python -m deploy.sandbox.tax_platform`"""

import os

from deploy.sandbox.process import folder, serve
from deploy.sandbox.tax_platform.callbacks import Callbacks
from deploy.sandbox.tax_platform.core import Platform
from deploy.sandbox.tax_platform.disk import Disk
from deploy.sandbox.tax_platform.server import Server
from shared.runtime.clock import Clock
from shared.runtime.settings import Settings
from shared.runtime.shared_clock import SharedClock

settings, clock, disk = Settings(), Clock(), Disk(folder())
delay = float(os.environ.get("ISSUE_DELAY_SECONDS", "0.3"))
following = (lambda: SharedClock(settings, "tax_platform", clock)) if settings.clock == "test" else None
serve(Server(Platform(disk, clock.now, delay), disk, Callbacks.from_environment(), following).app())
