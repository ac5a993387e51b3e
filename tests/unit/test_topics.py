"""Messages that were called otherwise once are still read."""

from pydantic import TypeAdapter

from shared.contracts.invoicing import InvoiceFilesStored
from shared.contracts.message import Message
from shared.contracts.notices import NoticeSent
from shared.contracts.topics import TOPICS


def test_a_former_name_leads_to_the_message_of_today() -> None:
    invoicing = TOPICS["invoicing.events"]
    assert invoicing.by_type()["DocumentsStored"] is InvoiceFilesStored
    assert invoicing.by_type([InvoiceFilesStored]).keys() == {"InvoiceFilesStored", "DocumentsStored"}


def test_no_name_stands_for_two_messages() -> None:
    for topic in TOPICS.values():
        names = [message.__name__ for message in topic.messages]
        assert len({*names}) == len(names)
        assert {*names}.isdisjoint(topic.formerly)
        assert {*topic.formerly.values()} <= {*topic.messages}


def test_a_notice_written_under_its_former_name_has_its_id() -> None:
    body = b'{"account_id": 1, "notification_id": 7, "channel": "sms", "kind": "invoice_issued", "request_id": 3}'
    read = TypeAdapter(TOPICS["notification.events"].by_type()["NotificationSent"]).validate_json(body)
    assert isinstance(read, NoticeSent)
    assert read.notice_id == 7


def test_every_message_travels_on_its_topic() -> None:
    """One that is left out would be skipped by whoever reads the topic. Bases only say what several messages have in common."""
    bases = {base for topic in TOPICS.values() for message in topic.messages for base in message.__mro__}
    for message in _subclasses(Message) - (bases - {one for topic in TOPICS.values() for one in topic.messages}):
        assert message in TOPICS[message.topic].messages, f"add {message.__name__} to shared/contracts/topics.py"


def _subclasses(of: type[Message]) -> set[type[Message]]:
    """Of the contracts; tests have messages of their own."""
    below = {one for one in of.__subclasses__() if one.__module__.startswith("shared.contracts")}
    return below | {other for one in below for other in _subclasses(one)}
