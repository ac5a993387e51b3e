"""`python -m deploy.demo`: play the scenario and print what came of it. Exit status 0 only if everything expected happened."""

import asyncio
import os
import sys

from deploy.demo.client import Expectation
from deploy.demo.scenario import Story, play


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def report(story: Story) -> None:
    say("\nIssued")
    say(f"{'account':>8}  {'entity':<8} {'rate':>4} {'net':>12} {'tax':>11} {'gross':>12}  {'number':<20}  files")
    count = 0
    for customer in story.customers.values():
        for one in reversed(await customer.get("/invoices?limit=200")):
            amounts = "".join(
                f"{yuan(one[name]):>{width}} " for name, width in (("net_fen", 12), ("tax_fen", 11), ("gross_fen", 12))
            )
            files = ", ".join(sorted(file["name"].rpartition(".")[2] for file in one["files"]))
            rate = f"{one['tax_percent']}%"
            say(f"{customer.account_id:>8}  {one['legal_entity']:<8} {rate:>4} {amounts} {one['number']}  {files}")
            count += 1
    say(
        f"{count} invoices, every one also read from Kafka by the example consumer; all are specimens of the sandbox platform"
    )
    say("\nCredited")
    for note in story.credited:
        files = ", ".join(sorted(file["name"].rpartition(".")[2] for file in note["files"]))
        what = f"reverses {note['number']} ({note['reason']})"
        say(f"{note['account_id']:>8}  {'-' + yuan(-note['gross_fen']):>12}  {note['red_number']}  {what}  {files}")
    say("\nRefused, failed or cancelled")
    for account_id, code, text in story.kept.refusals:
        say(f"{account_id:>8}  {code:<40} {text}")
    for account, request_id in story.kept.requests:
        request = await story.customers[account].get(f"/invoice-requests/{request_id}")
        if request["status"] == "voided" or request["cancel_wished"]:
            outcome = "voided" if request["status"] == "voided" else f"too late: {request['status']}"
            say(f"{story.customers[account].account_id:>8}  {'CANCEL ' + outcome:<40} request {request_id}")
    say("\nParked (kaipiao parked list)")
    for one in story.parked:
        say(f"{one['topic']:>16} {one['partition']}/{one['offset']:<5} {one['reason']:<17} {one['text']}")
    say(f"\nTrace of the first request: {story.kept.trace_id}")
    say(f"Gateway {os.environ['GATEWAY_URL']} (/openapi.json)   Kafka {os.environ['KAFKA_BOOTSTRAP']}")
    say(f"Invoice files {os.environ['DOCUMENTS_URL']}")
    for customer in story.customers.values():
        say(f"Account {customer.account_id}: Authorization: Bearer {customer.api_key}")


def yuan(fen: int) -> str:
    return f"{fen // 100:,}.{fen % 100:02d}"


async def main() -> int:
    try:
        story = await play()
    except Expectation as wrong:
        say(f"demo: {wrong}")
        return 1
    await report(story)
    for customer in story.customers.values():
        await customer.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
