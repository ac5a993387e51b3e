"""Messages that were called otherwise once are still read."""

from pydantic import TypeAdapter

from shared.contracts.invoicing import InvoiceFilesStored
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
