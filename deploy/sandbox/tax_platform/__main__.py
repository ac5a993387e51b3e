"""`python -m deploy.sandbox.tax_platform`"""

import os
from datetime import UTC, datetime

from deploy.sandbox.process import folder, serve
from deploy.sandbox.tax_platform.callbacks import Callbacks
from deploy.sandbox.tax_platform.core import Platform
from deploy.sandbox.tax_platform.disk import Disk
from deploy.sandbox.tax_platform.server import Server

disk = Disk(folder())
delay = float(os.environ.get("ISSUE_DELAY_SECONDS", "0.3"))
serve(Server(Platform(disk, lambda: datetime.now(UTC), delay), disk, Callbacks.from_environment()).app())
