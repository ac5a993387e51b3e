"""`python -m services.invoicing`"""

from services.invoicing.app import build
from shared.runtime.main import run

run(build)
