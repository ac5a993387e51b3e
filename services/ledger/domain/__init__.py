"""The rules of the ledger: what arrives (`intake`), what is held and given back (`reserving`, `booking`), what is left (`balances`)."""
