"""`python -m services.notification`"""

from services.notification.app import build
from shared.runtime.main import run

run(build)
