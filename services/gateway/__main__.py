"""`python -m services.gateway`"""

from services.gateway.app import build
from shared.runtime.main import run

run(build)
