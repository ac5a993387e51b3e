"""Which account manages which, and what it may do. The latest word by business time counts."""

from shared.contracts.accounts import RelationChanged
from shared.contracts.message import Message
from shared.contracts.titles import MemberChanged


def member_changed(fact: RelationChanged, version: int | None) -> list[Message]:
    """Nothing when a later word about the two was here before."""
    said = {"account_id": fact.account_id, "member_id": fact.member_id, "permissions": fact.permissions}
    return [] if version is None else [MemberChanged.model_validate(said | {"version": version})]
