"""`python -m services.ledger`"""

from services.ledger.app import build
from shared.runtime.main import run

run(build)
