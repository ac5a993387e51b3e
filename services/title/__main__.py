"""`python -m services.title`"""

from services.title.app import build
from shared.runtime.main import run

run(build)
