"""What title shows."""

from pydantic import BaseModel


class RecipientView(BaseModel):
    mailbox: str | None = None
    mobile: str | None = None


class AccountView(BaseModel):
    account_id: int
    status: str
    recipient: RecipientView


class SealingKeysView(BaseModel):
    """For services that seal or unseal: the account's keys, wrapped with the master key. `erased`: there were others, which are dropped."""

    wrapped_keys: list[str]
    erased: bool


class FindingView(BaseModel):
    """Why requests under this title will be refused, and what to do."""

    code: str
    text: str


class TitleView(BaseModel):
    """A title as it is printed; one is active at most. With findings it cannot be used until they are mended."""

    title_id: int
    version: int
    status: str
    kind: str
    name: str
    tax_id: str | None
    address: str | None
    phone: str | None
    bank_name: str | None
    bank_account: str | None
    findings: list[FindingView]
