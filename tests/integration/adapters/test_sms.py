"""The SMS adapter against the sandbox gateway, and against servers that answer something else."""

from dataclasses import replace

import pytest

from services.notification.channels import port as notes
from services.notification.channels.adapters.sms import HttpSmsSender
from tests.integration.adapters.bad_servers import says, somebody
from tests.integration.adapters.examples import SMS
from tests.integration.adapters.sandbox import Start


async def test_a_message_goes_out_once_also_after_a_kill(start: Start) -> None:
    sandbox = await start("sms_gateway")
    async with HttpSmsSender(sandbox.url) as sender:
        assert await sender.send(SMS) == notes.Sent()
        assert await sender.send(SMS) == notes.Sent()
        sandbox.kill()
        assert isinstance(await sender.send(SMS), notes.Unknown)
        with (sandbox.folder / "messages.jsonl").open("ab") as file:
            file.write(b'{"message_id": 2, "out')  # a write that the kill cut short
        await sandbox.start()
        assert await sender.send(SMS) == notes.Sent()
        assert await sender.send(replace(SMS, out_id="kaipiao-1-9")) == notes.Sent()
        sandbox.kill()
        await sandbox.start()
    sent = await sandbox.get("/messages")
    assert [(one["message_id"], one["out_id"]) for one in sent] == [(1, "kaipiao-1-1"), (2, "kaipiao-1-9")]
    assert sent[0] == {"message_id": 1, "out_id": SMS.out_id, "mobile": SMS.mobile, "text": SMS.text}


async def test_a_number_that_is_none_is_refused_and_what_is_no_message_too(start: Start) -> None:
    sandbox = await start("sms_gateway")
    async with HttpSmsSender(sandbox.url) as sender:
        assert await sender.send(replace(SMS, mobile="nobody")) == notes.Refused("NUMBER_REFUSED")
    bodies: tuple[object, ...] = ([], "text", {"out_id": "1"}, {"out_id": 1, "mobile": "13900000001", "text": "x"})
    for body in bodies:
        assert (await sandbox.post("/messages", body)).status_code in (400, 422)
    assert await sandbox.get("/messages") == []


@pytest.mark.parametrize("status", ["401 Unauthorized", "429 Too Many Requests", "500 Oops", "200 OK", "302 Found"])
async def test_a_refusal_that_is_not_about_the_message_may_pass(status: str) -> None:
    async with somebody(says(b"<html>", status)) as url, HttpSmsSender(url) as sender:
        assert isinstance(await sender.send(SMS), notes.Unknown)
